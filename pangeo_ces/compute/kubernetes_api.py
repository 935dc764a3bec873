"""Kubernetes's API server: a client of it, what it refuses, and what an account may."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from ..errors import ClusterError, ConfigError

GROUP, VERSION = "kubernetes.dask.org", "v1"
CHART = "install the chart of deployments/k8s (see docs/how-to/kubernetes.md)"
CALL: dict[str, Any] = {"_request_timeout": 20}


@contextlib.contextmanager
def api() -> Iterator[tuple[Any, str]]:
    """A client of the API server, and the namespace of the kubeconfig or of this pod."""
    import urllib3
    from kubernetes import client, config

    settings = client.Configuration()
    settings.retries = 1
    try:
        try:
            config.load_kube_config(client_configuration=settings)
            _, context = config.list_kube_config_contexts()
            namespace = context["context"].get("namespace", "default")
        except config.ConfigException:
            config.load_incluster_config(client_configuration=settings)
            with open("/var/run/secrets/kubernetes.io/serviceaccount/namespace") as file:
                namespace = file.read().strip()
    except (config.ConfigException, OSError) as error:
        raise ConfigError(
            f"no access to Kubernetes ({str(error).strip()}): set KUBECONFIG to the file that your "
            "administrator gave you, or run this in a pod whose account is allowed to"
        ) from error
    with client.ApiClient(settings) as connection:
        try:
            yield connection, namespace
        except urllib3.exceptions.HTTPError as error:
            raise ClusterError(
                f"{settings.host} does not answer ({reason_of(error)}): look at your network, and "
                "at the server in the kubeconfig"
            ) from error
        except client.ApiException as error:
            raise ClusterError(f"{settings.host} refuses: {told(error)}") from error


def reason_of(error: BaseException) -> str:
    """What a client's error says, without what it carries along."""
    return str(getattr(error, "reason", None) or error)[:200]


def told(error: Any) -> str:
    """What the API server says, in one line, and what to do."""
    message = re.search(r'"message":\s*"((?:[^"\\]|\\.)*)"', error.body or "")
    text = message[1].replace('\\"', '"') if message else f"{error.status} {error.reason}"
    if error.status == 401:
        return f"{text}: log in again, the token of the kubeconfig is not accepted"
    if error.status == 403 and "exceeded quota" in text:
        return f"{text}: ask for fewer or smaller workers"
    if error.status == 403:
        return f"{text}: ask for the Role of the chart to be bound to this account"
    if error.status == 404:
        return f"{text}: {CHART}, and look at the namespace"
    return f"{text}: correct the args of the cluster"


def allowed(client: Any, namespace: str, verb: str, group: str, resource: str) -> bool:
    """Whether this account may do so."""
    from kubernetes.client import AuthorizationV1Api

    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
              "spec": {"resourceAttributes": attributes}}  # fmt: skip
    answer = AuthorizationV1Api(client).create_self_subject_access_review(review, **CALL)
    return bool(answer.status.allowed)


def exists(client: Any, namespace: str, kind: str, name: str) -> bool | None:
    """``None`` when this account may not know."""
    from kubernetes.client import ApiException, CoreV1Api

    core = CoreV1Api(client)
    try:
        if kind == "namespace":
            core.read_namespace(name, **CALL)
        else:
            core.read_namespaced_secret(name, namespace, **CALL)
    except ApiException as error:
        return False if error.status == 404 else None
    return True
