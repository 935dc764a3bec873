"""Dask clusters on Kubernetes, by the dask-kubernetes operator.

Two faults of dask-kubernetes 2026.3.0 are gone around.  A cluster's ``status.phase`` often stays
``Pending`` (its issue 968), so the scheduler's Deployment is asked instead; and its default
commands, ``dask-scheduler`` and ``dask-worker``, are not in distributed any more.
"""

from __future__ import annotations

import contextlib
import getpass
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ClusterError, ConfigError
from .kubernetes_api import CALL, CHART, GROUP, VERSION, allowed, api, exists
from .kubernetes_pods import cluster_spec

#: Reasons for which a pod waits without end, and what helps.
_STUCK = {
    "ErrImagePull": "correct image, or add imagePullSecrets to the pod",
    "ImagePullBackOff": "correct image, or add imagePullSecrets to the pod",
    "ErrImageNeverPull": "load the image on the nodes, or set image_pull_policy: IfNotPresent",
    "InvalidImageName": "correct image",
    "CreateContainerConfigError": "create the Secret or ConfigMap that it names",
    "CrashLoopBackOff": "use an image with the same versions as here",
    "RunContainerError": "correct the pod's commands and volumes",
}
#: Those of them that do not pass by themselves.
_AT_ONCE = {"ErrImageNeverPull", "InvalidImageName"}
#: Seconds until the operator must have made something of a DaskCluster.
_ACTED_ON_WITHIN = 45


def kube_cluster(
    *,
    image: str,
    namespace: str | None = None,
    name: str | None = None,
    n_workers: int = 2,
    threads: int = 1,
    resources: Mapping[str, Any] | None = None,
    scheduler_resources: Mapping[str, Any] | None = None,
    secret: str | None = None,
    env: Mapping[str, str] | None = None,
    pod: Mapping[str, Any] | None = None,
    image_pull_policy: str = "IfNotPresent",
    idle_timeout: int = 3600,
    timeout: float = 600,
) -> Any:
    """A cluster of pods; it is deleted when it is closed, and when it does not start.

    Parameters
    ----------
    image
        Of scheduler and workers: the one this notebook or script runs in, best by its digest.
    namespace
        Where; by default that of the kubeconfig, or of this pod.
    name
        Of the DaskCluster; by default ``ces-``, the user and a random part.
    n_workers, threads
        How many workers, and threads of each.
    resources, scheduler_resources
        CPU and memory of a worker and of the scheduler, requests and limits in one
        (``{"cpu": "2", "memory": "8Gi"}``), or ``requests`` and ``limits`` of their own.
    secret
        Secret whose keys become environment variables of the workers: the keys of the object
        store (``AWS_ACCESS_KEY_ID`` …).
    env
        Further environment variables of scheduler and workers; nothing secret.
    pod
        Part of a pod template for scheduler and workers (``metadata``, ``spec``), for
        ``nodeSelector``, ``tolerations``, ``serviceAccountName``, volumes and the like.  What it
        says of the first container goes into ours.
    image_pull_policy
        Kubernetes's.
    idle_timeout
        Seconds without work after which the operator deletes the cluster, should we have no chance
        to; 0 for never.
    timeout
        Seconds to wait for the scheduler, the transfer of the image included.

    Returns
    -------
    dask_kubernetes.operator.KubeCluster
        Running.

    Raises
    ------
    ClusterError
        When the scheduler does not start; nothing is left.
    """
    from dask_kubernetes.operator import KubeCluster

    with api() as (client, here):
        namespace = namespace or here
        name = name or _new_name()
        spec = cluster_spec(
            name=name, image=image, n_workers=n_workers, threads=threads, resources=resources,
            scheduler_resources=scheduler_resources, secret=secret, env=env, pod=pod,
            image_pull_policy=image_pull_policy, idle_timeout=idle_timeout,
        )  # fmt: skip
        try:
            _create(client, namespace, spec)
            _wait(client, namespace, name, timeout)
            return KubeCluster.from_name(
                name, namespace=namespace, shutdown_on_close=True, quiet=True
            )
        except BaseException:  # Ctrl-C as well
            _delete(client, namespace, name)
            raise


def missing(callable: str, args: Mapping[str, Any]) -> list[str]:
    """What hinders a cluster with these arguments, each with how to mend it; nothing is created.

    Parameters
    ----------
    callable
        ``kube_cluster``, the only one here.
    args
        Its.
    """
    found = []
    if not args.get("image"):
        found.append(
            "no image: write that of your notebook as args: {image: …} of the cluster under "
            "ces.clusters in ~/.config/dask/ces.yaml"
        )
    try:
        with api() as (client, here):
            found += _missing_there(client, args.get("namespace") or here, args.get("secret"))
    except (ClusterError, ConfigError) as error:
        found.append(str(error))
    return found


def _missing_there(client: Any, namespace: str, secret: str | None) -> Iterator[str]:
    from kubernetes.client import ApisApi

    groups = {group.name for group in ApisApi(client).get_api_versions(**CALL).groups}
    if GROUP not in groups:
        yield f"the cluster knows no DaskCluster: {CHART}, or ask its administrator to"
        return
    if not allowed(client, namespace, "create", GROUP, "daskclusters"):
        yield (
            f"this account may not create daskclusters in namespace {namespace!r}: give another "
            "namespace in args, or ask for the Role of the chart to be bound to it"
        )
        return
    for kind, wanted in (("namespace", namespace), ("secret", secret)):
        if wanted and exists(client, namespace, kind, wanted) is False:
            yield (
                f"no {kind} {wanted!r}: create it"
                + (f" in namespace {namespace!r}" if kind == "secret" else "")
                + f" (kubectl create {kind if kind == 'namespace' else 'secret generic'} {wanted}"
                + (" …)" if kind == "secret" else ")")
                + ", or correct args"
            )


def _new_name() -> str:
    """Within 45 characters, and of those that Kubernetes allows."""
    user = re.sub(r"[^a-z0-9]+", "-", getpass.getuser().lower()).strip("-")[:24] or "user"
    return f"ces-{user}-{secrets.token_hex(4)}"


def _create(client: Any, namespace: str, spec: dict[str, Any]) -> None:
    from kubernetes.client import CustomObjectsApi

    CustomObjectsApi(client).create_namespaced_custom_object(
        GROUP, VERSION, namespace, "daskclusters", spec, **CALL
    )


def _delete(client: Any, namespace: str, name: str) -> None:
    """The cluster and all that the operator makes of it.

    The last thing it makes, the group of workers, belongs to the cluster only a moment later.  So
    it is waited for, else it might be made when the cluster is gone already, and stay.
    """
    from kubernetes.client import ApiException, CustomObjectsApi

    api = CustomObjectsApi(client)
    cluster = (GROUP, VERSION, namespace, "daskclusters", name)
    group = (GROUP, VERSION, namespace, "daskworkergroups", f"{name}-default")
    with contextlib.suppress(ApiException):
        api.get_namespaced_custom_object(*cluster, **CALL)
        try:
            end = time.monotonic() + 10
            while time.monotonic() < end:
                with contextlib.suppress(ApiException):
                    api.get_namespaced_custom_object(*group, **CALL)
                    break
                time.sleep(0.3)
        finally:
            api.delete_namespaced_custom_object(*cluster, **CALL)
            api.delete_namespaced_custom_object(*group, **CALL)


def _wait(client: Any, namespace: str, name: str, timeout: float) -> None:
    """Until the scheduler is ready, or cannot become so."""
    from kubernetes.client import AppsV1Api, CoreV1Api

    start = time.monotonic()
    label = f"dask.org/cluster-name={name},dask.org/component=scheduler"
    query = {"label_selector": label, **CALL}
    state, fix = "not there", "look at the pods of the namespace"
    while (waited := time.monotonic() - start) < timeout:
        deployments = AppsV1Api(client).list_namespaced_deployment(namespace, **query).items
        if any(one.status.ready_replicas for one in deployments):
            return
        if not deployments and waited > _ACTED_ON_WITHIN:
            raise ClusterError(
                f"no operator made anything of the DaskCluster {name!r} in namespace "
                f"{namespace!r} within {_ACTED_ON_WITHIN} s: look whether the pod of "
                "dask-kubernetes-operator runs and watches this namespace"
            )
        for one in deployments:
            for condition in one.status.conditions or []:
                if condition.type == "ReplicaFailure":
                    raise ClusterError(
                        f"the scheduler of {name!r} is refused ({condition.message}): ask for "
                        "less, or for a larger quota"
                    )
        for one in CoreV1Api(client).list_namespaced_pod(namespace, **query).items:
            state, reason = _state(one)
            if reason in _AT_ONCE or (reason in _STUCK and waited > _ACTED_ON_WITHIN):
                raise ClusterError(
                    f"the scheduler of {name!r} does not start ({state}): {_STUCK[reason]}"
                )
            if reason == "Unschedulable":
                fix = "ask for less CPU and memory, or wait for a free node"
        time.sleep(0.3)
    raise ClusterError(
        f"the scheduler of {name!r} was not ready within {timeout:.0f} s ({state}): {fix}"
    )


def _state(pod: Any) -> tuple[str, str]:
    """Of a pod in words, and the reason for which it waits."""
    for status in pod.status.container_statuses or []:
        waiting = status.state and status.state.waiting
        if waiting and waiting.reason:
            return f"{waiting.reason}: {waiting.message or status.image}"[:300], waiting.reason
    for condition in pod.status.conditions or []:
        if condition.status == "False" and condition.reason == "Unschedulable":
            return f"Unschedulable: {condition.message}"[:300], condition.reason
    return str(pod.status.phase), ""
