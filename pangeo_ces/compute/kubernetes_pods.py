"""What a Dask cluster on Kubernetes is made of: the DaskCluster and its pods, as data."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from .kubernetes_api import GROUP, VERSION

_SCHEDULER_SIZE = {"cpu": "1", "memory": "2Gi"}
_WORKER_SIZE = {"cpu": "1", "memory": "4Gi"}


def cluster_spec(
    *,
    name: str,
    image: str,
    n_workers: int = 2,
    threads: int = 1,
    resources: Mapping[str, Any] | None = None,
    scheduler_resources: Mapping[str, Any] | None = None,
    secret: str | None = None,
    env: Mapping[str, str] | None = None,
    pod: Mapping[str, Any] | None = None,
    image_pull_policy: str = "IfNotPresent",
    idle_timeout: int = 3600,
) -> dict[str, Any]:
    """The DaskCluster that :func:`~.kubernetes.kube_cluster` creates; the parameters are its.

    The pods run as nobody in particular: no root, no capabilities, no account of Kubernetes, and
    nothing to write on but ``/tmp``.
    """
    worker = _pod(
        "worker", image, resources or _WORKER_SIZE, image_pull_policy, env,
        args=["dask", "worker", "--name", "$(DASK_WORKER_NAME)", "--nthreads", str(threads),
              "--dashboard-address", ":8788", "--local-directory", "/tmp",  # noqa: S108
              "--death-timeout", "120"],
        ports=[{"name": "http-dashboard", "containerPort": 8788, "protocol": "TCP"}],
    )  # fmt: skip
    if secret:
        worker["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": secret}}]
    health = {"port": "http-dashboard", "path": "/health"}
    ports = {"tcp-comm": 8786, "http-dashboard": 8787}
    scheduler = _pod(
        "scheduler", image, scheduler_resources or _SCHEDULER_SIZE, image_pull_policy, env,
        args=["dask", "scheduler", "--host", "0.0.0.0"],  # noqa: S104
        ports=[{"name": key, "containerPort": port, "protocol": "TCP"}
               for key, port in ports.items()],
        readinessProbe={"httpGet": health, "periodSeconds": 1, "timeoutSeconds": 5,
                        "failureThreshold": 120},
        livenessProbe={"httpGet": health, "initialDelaySeconds": 60, "periodSeconds": 20,
                       "timeoutSeconds": 10, "failureThreshold": 6},
    )  # fmt: skip
    service = {
        "type": "ClusterIP",
        "selector": {"dask.org/cluster-name": name, "dask.org/component": "scheduler"},
        "ports": [{"name": key, "protocol": "TCP", "port": port, "targetPort": key}
                  for key, port in ports.items()],
    }  # fmt: skip
    worker, scheduler = _merged(worker, pod or {}), _merged(scheduler, pod or {})
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "DaskCluster",
        "metadata": {"name": name},
        "spec": {
            "idleTimeout": idle_timeout,
            "worker": worker | {"replicas": n_workers},
            "scheduler": scheduler | {"service": service},
        },
    }


def _pod(
    part: str,
    image: str,
    size: Mapping[str, Any],
    policy: str,
    env: Mapping[str, str] | None,
    **container: Any,
) -> dict[str, Any]:
    variables = {
        "NUMBA_CACHE_DIR": "/tmp/numba",  # noqa: S108
        "MPLCONFIGDIR": "/tmp/matplotlib",  # noqa: S108
        # Programs alone may fill a small worker to where Dask pauses it, for ever.
        "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False",
        # Dask's statistics of what runs grow by 50 kB each second, for a quarter of an hour.
        "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    }
    return {
        "metadata": {"labels": {"app.kubernetes.io/part-of": "ces"}},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 15,
            "securityContext": {
                "runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": part,
                "image": image,
                "imagePullPolicy": policy,
                "env": [{"name": key, "value": str(value)}
                        for key, value in (variables | dict(env or {})).items()],
                "resources": dict(size) if {"requests", "limits"} & set(size)
                else {"requests": dict(size), "limits": dict(size)},
                "securityContext": {
                    "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
                **container,
            }],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }  # fmt: skip


def _merged(ours: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A pod template with what was given on top; lists are joined, the first containers merged."""
    result = copy.deepcopy(ours)
    for key, value in given.items():
        mine = result.get(key)
        if key == "containers" and mine and value:
            result[key] = [_merged(mine[0], value[0]), *copy.deepcopy(list(value[1:]))]
            result[key][0]["name"] = mine[0]["name"]
        elif isinstance(mine, dict) and isinstance(value, Mapping):
            result[key] = _merged(mine, value)
        elif isinstance(mine, list) and isinstance(value, list) and key != "args":
            result[key] = [*mine, *copy.deepcopy(value)]
        else:
            result[key] = copy.deepcopy(value)
    return result
