"""Rules for what VidStream is deployed with, as scripts/deploy has rendered it.

check.py rules FOLDER               how containers are confined, and that whatever is named is there
check.py settings FOLDER VIDSTREAM  that the program VIDSTREAM takes the settings which it is given
"""

import json
import pathlib
import re
import subprocess
import sys

import yaml

OVERLAYS = ("demo", "production")
# Run once, and end: nobody asks whether they are well.
SETUPS = ("mongo-setup", "minio-setup")
# What no other flag is called, so that settings are looked at and nothing is started.
UNKNOWN = "--not-a-setting"

wrong = []


def check(holds, where, text):
    if not holds:
        wrong.append(f"{where}: {text}")


# Compose.


def services(folder, name):
    return yaml.safe_load((folder / f"{name}.yaml").read_text())["services"]


def check_compose(folder):
    for file in ("mesh", "single"):
        for name, service in services(folder, file).items():
            where = f"{file}: {name}"
            check(service.get("read_only"), where, "its root can be written")
            check(service.get("cap_drop") == ["ALL"], where, "it keeps rights (cap_drop)")
            check("no-new-privileges:true" in service.get("security_opt", []), where, "it can gain rights")
            check("mem_limit" in service and "pids_limit" in service, where, "it has no limits")
            check(service.get("restart") == ("no" if name in SETUPS else "unless-stopped"), where, "restart")
            own = service["image"] == "vidstream"
            check("healthcheck" in service or own and file == "single" or name in SETUPS, where, "no health check")
            check(own or ":" in service["image"], where, "its image has no tag")
            ports = service.get("ports", [])
            check(not ports or own and all(str(port).startswith("127.0.0.1:") for port in ports), where, f"ports {ports}")
            for variable in service.get("environment", {}):
                is_file = variable.endswith("_FILE")
                check(is_file or not re.search("PASS|SECRET$|TOKEN", variable), where, f"a secret in {variable}")
    ports = {name for name, service in services(folder, "mesh").items() if service.get("ports")}
    check(ports == {"gateway"}, "compose", f"{ports} publish ports")


# Kubernetes.


def pods(documents):
    """Every pod's template with what makes it."""
    return [(d, d["spec"]["template"]) for d in documents if d["kind"] in ("Deployment", "StatefulSet", "Job")]


def containers(documents):
    for document, template in pods(documents):
        for container in template["spec"]["containers"]:
            yield document, template["spec"], container


def check_confined(overlay, documents):
    for document, pod, container in containers(documents):
        where = f"{overlay}: {document['kind']} {container['name']}"
        check(pod.get("enableServiceLinks") is False, where, "it is given variables of Services")
        check(pod.get("automountServiceAccountToken") is False, where, "it is given a token of the cluster's")
        context = pod.get("securityContext", {})
        check(context.get("runAsNonRoot") and context.get("runAsUser"), where, "it may be root")
        check(context.get("seccompProfile") == {"type": "RuntimeDefault"}, where, "no seccomp profile")
        own = container.get("securityContext", {})
        check(own.get("allowPrivilegeEscalation") is False, where, "it can gain rights")
        check(own.get("readOnlyRootFilesystem") is True, where, "its root can be written")
        check(own.get("capabilities") == {"drop": ["ALL"]}, where, "it keeps rights")
        resources = container.get("resources", {})
        check({"cpu", "memory"} <= set(resources.get("requests", {})), where, "it asks for no resources")
        check("memory" in resources.get("limits", {}), where, "its memory has no limit")
        probes = {"livenessProbe", "readinessProbe"} <= set(container)
        check(probes or document["kind"] == "Job", where, "nobody asks whether it is well")


def check_named(overlay, documents):
    """What pods, Services, policies and budgets name is there."""
    keys = {}
    for document in documents:
        if document["kind"] in ("Secret", "ConfigMap"):
            keys[(document["kind"], document["metadata"]["name"])] = set(document.get("data", {}))
    for document, pod, container in containers(documents):
        where = f"{overlay}: {document['kind']} {container['name']}"
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        claims = {claim["metadata"]["name"] for claim in document["spec"].get("volumeClaimTemplates", [])}
        mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
        check(mounts == set(volumes) | claims, where, f"mounts {mounts} of {set(volumes) | claims}")
        named = []
        for volume in volumes.values():
            if "secret" in volume:
                named += [("Secret", volume["secret"]["secretName"], item["key"]) for item in volume["secret"]["items"]]
            if "configMap" in volume:
                named.append(("ConfigMap", volume["configMap"]["name"], None))
        for variable in container.get("env", []):
            if "valueFrom" in variable:
                source = variable["valueFrom"]["configMapKeyRef"]
                named.append(("ConfigMap", source["name"], source["key"]))
        for kind, name, key in named:
            there = keys.get((kind, name))
            check(there is not None and (key is None or key in there), where, f"there is no {key} in {kind} {name}")
    check_selectors(overlay, documents)


def matches(selector, labels):
    by_name = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return by_name and all(labels.get(e["key"]) in e["values"] for e in selector.get("matchExpressions", []))


def check_selectors(overlay, documents):
    templates = [template for _, template in pods(documents)]

    def chosen(selector):
        return [template for template in templates if matches(selector, template["metadata"]["labels"])]

    def has_port(selector, port):
        ports = [p for t in chosen(selector) for c in t["spec"]["containers"] for p in c.get("ports", [])]
        return any(port in (p["name"], p["containerPort"]) for p in ports)

    for document in documents:
        kind, spec = document["kind"], document.get("spec", {})
        where = f"{overlay}: {kind} {document['metadata']['name']}"
        if kind == "Service":
            for port in spec["ports"]:
                target = port.get("targetPort", port["port"])
                check(has_port({"matchLabels": spec["selector"]}, target), where, f"no pod of it has the port {target}")
        if kind == "PodDisruptionBudget":
            check(chosen(spec["selector"]), where, "it is about no pod")
        if kind == "NetworkPolicy":
            for rule in spec.get("ingress", []):
                for port in rule["ports"]:
                    check(has_port(spec["podSelector"], port["port"]), where, f"no pod of it has the port {port['port']}")
                for source in rule.get("from", []):
                    peer = source.get("podSelector")
                    check(peer is None or chosen(peer), where, f"nobody is meant by {peer}")
        if kind == "HorizontalPodAutoscaler":
            scaled = [d for d in documents if d["kind"] == "Deployment" and d["metadata"]["name"] == spec["scaleTargetRef"]["name"]]
            check(len(scaled) == 1 and "replicas" not in scaled[0]["spec"], where, "what it scales is not there, or has a number")


def images(folder):
    """All servers are of one version, also those of scripts/backends."""
    tested = re.findall(r"echo (\S+:\S+) ;;", (folder / "scripts/backends.d/docker.sh").read_text())
    composed = {s["image"] for s in services(folder, "mesh").values()} - {"vidstream"}
    check(set(tested) == composed, "compose", f"images {sorted(composed)}, but tested are {sorted(tested)}")
    run = {c["image"] for _, _, c in containers(manifests(folder, "demo")) if not c["image"].startswith("vidstream:")}
    check(run == composed, "demo", f"images {sorted(run)}, but compose has {sorted(composed)}")


def manifests(folder, overlay):
    return [d for d in yaml.safe_load_all((folder / f"{overlay}.yaml").read_text()) if d]


# Settings.


def given(folder):
    """Where a vidstream is started, with its arguments, its variables, and where its secrets are."""
    command = re.search(r"^CMD (\[.*\])$", (folder / "Dockerfile").read_text(), re.MULTILINE)
    yield "Dockerfile", json.loads(command[1]), {}, None
    for file in ("mesh", "single"):
        for name, service in services(folder, file).items():
            if service["image"] == "vidstream":
                arguments = [argument.replace("$$", "$") for argument in service["command"]]
                yield f"{file}: {name}", arguments, service.get("environment", {}), ("/run/secrets", folder / ".secrets")
    for overlay in OVERLAYS:
        documents = manifests(folder, overlay)
        data = {d["metadata"]["name"]: d["data"] for d in documents if d["kind"] == "ConfigMap"}
        for _, pod, container in containers(documents):
            if "vidstream:" in container["image"]:
                sources = ((v["name"], v["valueFrom"]["configMapKeyRef"]) for v in container["env"])
                variables = {variable: data[source["name"]][source["key"]] for variable, source in sources}
                secrets = ("/etc/vidstream", folder / "deploy/kubernetes" / overlay / "secrets")
                yield f"{overlay}: {container['name']}", container["args"], variables, secrets


def check_settings(folder, program):
    count = 0
    for where, arguments, variables, secrets in given(folder):
        count += 1
        if secrets:
            inside, outside = secrets
            arguments = [argument.replace(inside, str(outside)) for argument in arguments]
            variables = {name: value.replace(inside, str(outside)) for name, value in variables.items()}
        command = [program, *arguments, UNKNOWN]
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **variables}
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        mistakes = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        others = [line for line in mistakes if UNKNOWN not in line]
        check(done.returncode == 2 and len(mistakes) > len(others), where, f"vidstream did not look at settings: {done.stderr}")
        for line in others:
            check(False, where, line)
    return count


def main():
    folder = pathlib.Path(sys.argv[2])
    if sys.argv[1] == "settings":
        said = f"vidstream takes the settings of {check_settings(folder, sys.argv[3])} containers"
    else:
        check_compose(folder)
        for overlay in OVERLAYS:
            check_confined(overlay, manifests(folder, overlay))
            check_named(overlay, manifests(folder, overlay))
        images(folder)
        said = "containers are confined, and what is named is there"
    for line in wrong:
        print(f"deploy: {line}", file=sys.stderr)
    if wrong:
        sys.exit(1)
    print(f"deploy: {said}")


if __name__ == "__main__":
    main()
