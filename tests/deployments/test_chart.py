"""The chart rendered by real helm, and every manifest against the API's schemas and the CRDs'."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

import jsonschema
import pytest
import yaml

K8S = pathlib.Path(__file__).parents[2] / "deployments" / "k8s"
IMAGE = K8S.parent / "image"
TOOLS = pathlib.Path(sys.prefix) / "helm"
DIGEST = "sha256:" + "7c" * 32
SET = ["--set", f"image.repository=registry.example.org/ces,image.digest={DIGEST}"]
#: The oldest API of which kubernetes-validate has schemas, and a newer one.
VERSIONS = ("1.25.0", "1.34.0")


@pytest.fixture(scope="module")
def helm():
    program = TOOLS / "helm"
    if not program.exists():
        local = K8S.parents[1] / "tests" / "kubernetes" / "local" / "helm.py"
        done = subprocess.run([sys.executable, local, TOOLS], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"helm could not be installed: {done.stderr[-300:]}")

    def run(*words, check=True):
        done = subprocess.run([program, *map(str, words)], capture_output=True, text=True)
        assert not check or done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def operator_chart():
    dask_kubernetes = pytest.importorskip("dask_kubernetes")
    folder = pathlib.Path(dask_kubernetes.__file__).parent
    return folder / "operator" / "deployment" / "helm" / "dask-kubernetes-operator"


@pytest.fixture(scope="module")
def rendered(helm, operator_chart):
    """Everything an administrator installs, with every optional part of the chart."""
    more = ["--set", "image.pullSecrets={registry}", "--set",
            "outsideUsers[0].kind=Group,outsideUsers[0].name=seismologists"]  # fmt: skip
    ours = helm("template", "ces", K8S / "chart", "-n", "ces", *SET, *more).stdout
    operator = helm(
        "template", "dask-operator", operator_chart, "-n", "ces-operator", "--include-crds",
        "-f", K8S / "values" / "dask-kubernetes-operator.yaml",
        "--set-string", "image.name=registry.example.org/ces@sha256",
        "--set-string", f"image.tag={DIGEST.removeprefix('sha256:')}",
    ).stdout  # fmt: skip
    return [ours, operator, (K8S / "namespaces.yaml").read_text()]


@pytest.fixture(scope="module")
def manifests(rendered):
    return [item for text in rendered for item in yaml.safe_load_all(text) if item]


@pytest.fixture(scope="module")
def entry(manifests):
    """The cluster of the ConfigMap that notebooks see."""
    (config,) = (item for item in manifests if item["kind"] == "ConfigMap")
    return yaml.safe_load(config["data"]["ces.yaml"])["ces"]


@pytest.fixture(scope="module")
def dask_cluster(entry):
    from pangeo_ces.compute.kubernetes import cluster_spec

    args = dict(entry["clusters"]["kubernetes"]["args"])
    args.pop("namespace")
    return cluster_spec(name="one", **args)


def containers_of(item):
    """Of a Deployment or a DaskCluster."""
    spec = item["spec"]
    parts = [spec["template"]] if item["kind"] == "Deployment" else [
        spec["worker"], spec["scheduler"]]  # fmt: skip
    return [(part["spec"], container) for part in parts for container in part["spec"]["containers"]]


def test_helm_has_nothing_to_say(helm):
    helm("lint", "--strict", K8S / "chart", *SET)


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_follow_the_schemas_of_the_api(rendered, tmp_path, version):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    kinds = set()
    for text in rendered:
        for item in yaml.safe_load_all(text):
            if item and item["kind"] != "CustomResourceDefinition":
                kubernetes_validate.validate(item, version, strict=True)
                kinds.add(item["kind"])
    assert {"Role", "NetworkPolicy", "ResourceQuota", "LimitRange", "Deployment"} <= kinds


def test_our_pods_follow_the_operators_definition(manifests, dask_cluster):
    """And no field is unknown to it: what it does not know, the API server drops silently."""
    definitions = [item for item in manifests if item["kind"] == "CustomResourceDefinition"]
    schemas = {item["spec"]["names"]["kind"]: item["spec"]["versions"][0]["schema"]
               ["openAPIV3Schema"] for item in definitions}  # fmt: skip
    schema = closed(schemas["DaskCluster"])
    schema["properties"] |= {"metadata": {}, "apiVersion": {}, "kind": {}}
    jsonschema.validate(dask_cluster, schema)
    dask_cluster = json.loads(json.dumps(dask_cluster))
    dask_cluster["spec"]["worker"]["spec"]["containers"][0]["imagePolicy"] = "Always"
    with pytest.raises(jsonschema.ValidationError, match="imagePolicy"):
        jsonschema.validate(dask_cluster, schema)


def closed(schema):
    """An OpenAPI schema that admits no unknown field."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get(
        "x-kubernetes-preserve-unknown-fields"
    ):
        result.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
    return result


@pytest.mark.parametrize(
    "words",
    [
        ["--set", "image.digest=latest"],
        ["--set", "image.tag=1"],
        ["--set", "objectStore.secretName=Not_A_Name"],
        ["--set", "objectStore.accessKey=AKIA"],
        ["--set", "objectStore.environment.AWS_SECRET_ACCESS_KEY=x"],
        ["--set", "quota.memory=much"],
        ["--set", "networkPolicy.objectStore[0].cidr=store,networkPolicy.objectStore[0].port=443"],
        ["--set", "cluster.workers=3"],
        ["--set", "outsideUsers[0].kind=ServiceAccount,outsideUsers[0].name=a"],
    ],
)
def test_wrong_values_are_refused(helm, words):
    done = helm("template", "ces", K8S / "chart", *SET, *words, check=False)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr


def test_no_values_no_chart(helm):
    assert helm("template", "ces", K8S / "chart", check=False).returncode != 0


def test_rights_are_few_and_named(manifests):
    roles = [item for item in manifests if item["kind"] in ("Role", "ClusterRole")]
    assert {item["metadata"]["name"] for item in roles} == {
        "ces-user", "ces-outside-user", "ces-dask-operator", "ces-hub"
    }  # fmt: skip
    for item in roles:
        for rule in item["rules"]:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
            assert not {"secrets", "roles", "rolebindings", "pods/exec"} & set(rule["resources"])
        if item["kind"] == "ClusterRole":
            assert {verb for rule in item["rules"] for verb in rule["verbs"]} == {"list", "watch"}
    accounts = {item["metadata"]["name"]: item for item in manifests
                if item["kind"] == "ServiceAccount"}  # fmt: skip
    assert accounts["ces-worker"]["automountServiceAccountToken"] is False
    bound = [subject["name"] for item in manifests if item["kind"].endswith("RoleBinding")
             for subject in item["subjects"]]  # fmt: skip
    assert "ces-worker" not in bound and "default" not in bound


def test_every_container_is_bounded_and_harmless(manifests, dask_cluster):
    pods = [item for item in manifests if item["kind"] == "Deployment"] + [dask_cluster]
    found = [pair for item in pods for pair in containers_of(item)]
    assert len(found) == 3
    for pod, container in found:
        assert set(container["resources"]["limits"]) >= {"cpu", "memory"}
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert (pod["securityContext"] | own)["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    traits = yaml.safe_load((K8S / "values" / "jupyterhub.yaml").read_text())
    user = traits["hub"]["config"]["KubeSpawner"]
    assert user["allow_privilege_escalation"] is False and user["uid"] == 1000
    assert user["container_security_context"]["capabilities"] == {"drop": ["ALL"]}
    assert user["mem_limit"] and user["cpu_limit"]


def test_one_image_by_digest(manifests, dask_cluster):
    items = [item for item in manifests if item["kind"] == "Deployment"] + [dask_cluster]
    images = {container["image"] for item in items for _, container in containers_of(item)}
    assert images == {f"registry.example.org/ces@{DIGEST}"}


def test_keys_come_from_a_secret_that_is_elsewhere(rendered, dask_cluster):
    for text in rendered:
        assert "kind: Secret" not in text
        assert not re.search(r"AWS_(SECRET_)?ACCESS_KEY", text)
    worker, scheduler = (container for _, container in containers_of(dask_cluster))
    assert worker["envFrom"] == [{"secretRef": {"name": "ces-object-store"}}]
    assert "envFrom" not in scheduler


def test_nothing_is_open_to_all(manifests):
    policies = [item["spec"] for item in manifests if item["kind"] == "NetworkPolicy"]
    assert len(policies) == 2
    for policy in policies:
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert policy["podSelector"]
        for way in policy["ingress"]:
            assert way["from"]
        for way in policy["egress"]:
            assert way["to"]
            for block in (place["ipBlock"] for place in way["to"] if "ipBlock" in place):
                assert block["except"] == ["169.254.0.0/16"]


def test_versions_of_the_image_are_those_of_the_constraints():
    """Every pin of the image that our own constraints have too is theirs."""

    def pins(file):
        return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==([^\s;\\]+)", file.read_text(),
                               re.MULTILINE))  # fmt: skip

    image, ours = pins(IMAGE / "requirements.txt"), pins(K8S.parents[1] / "constraints.txt")
    common = set(image) & set(ours)
    assert len(common) > 80
    assert {name: image[name] for name in common} == {name: ours[name] for name in common}
    text = (IMAGE / "requirements.txt").read_text()
    assert "://" not in text
    assert text.count("==") <= text.count("--hash=sha256:")


def test_the_image_is_a_plain_users():
    text = (IMAGE / "Dockerfile").read_text()
    assert re.search(r"^ARG BASE=\S+\nFROM \$\{BASE\}$", text, re.MULTILINE)
    assert "--require-hashes" in text
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["${NB_UID}"]
    assert not re.search(r"(?i)secret_|password|token=", text)
