"""What no linter of one file sees: whether the files of deployment agree, with one another and with
the server."""

import re
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
# How long stopping waits for requests under way (`DRAIN` of crates/server/src/http.rs).
REQUESTS = 10

faults = []


def check(right, path, fault):
    if not right:
        faults.append(f"{path.relative_to(ROOT)}: {fault}")


def stop_if_any():
    if faults:
        sys.exit("\n".join(faults))


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


def settings():
    """Keys and defaults, from the table that the server prints."""
    table = (ROOT / "docs/configuration.md").read_text()
    return dict(re.findall(r"^\| `([a-z_]+)` \| `([^`]*)` \|", table, re.MULTILINE))


def variables(known):
    """The server does not start with a variable that is no setting."""
    # The last is of Kubernetes, and passed over.
    known = {f"HOOKWRIGHT_{key.upper()}" for key in known} | {"HOOKWRIGHT_SERVICE_HOST"}
    files = [ROOT / "Dockerfile", ROOT / "docs/deploying.md"]
    for path in files + [path for path in DEPLOY.rglob("*") if path.is_file()]:
        for name in sorted(set(re.findall(r"\bHOOKWRIGHT_\w+", path.read_text()))):
            check(name in known, path, f"there is no setting for {name}")


def dockerfile(package):
    path = ROOT / "Dockerfile"
    rust = re.search(r"^ARG RUST_VERSION=([\d.]+)$", path.read_text(), re.MULTILINE)
    enough = rust and number(rust[1]) >= number(package["rust-version"])
    check(enough, path, f"it does not build with Rust {package['rust-version']} or newer")
    path = ROOT / ".dockerignore"
    for line in path.read_text().splitlines():
        name = line.removeprefix("!")
        check(name == line or (ROOT / name).exists(), path, f"there is no {name}")


def number(version):
    return [int(part) for part in version.split(".")]


def compose(drain):
    path = DEPLOY / "docker-compose.yml"
    services = yaml.safe_load(path.read_text())["services"]
    nodes = {name: each for name, each in services.items() if each["image"] == "hookwright"}
    for name, node in nodes.items():
        in_time = seconds(node["stop_grace_period"]) > REQUESTS + drain
        check(in_time, path, f"{name} is killed before it has drained")
        check(node["hostname"] == name, path, f"{name} is called {node['hostname']}")
    used = set(re.findall(r"\$\{([A-Z_]+)", path.read_text()))
    path = DEPLOY / ".env.example"
    given = set(re.findall(r"^([A-Z_]+)=", path.read_text(), re.MULTILINE))
    check(given == used, path, f"docker-compose.yml differs from it in {sorted(given ^ used)}")
    path = DEPLOY / "haproxy.cfg"
    servers = re.findall(r"^\s+server (\S+) (\S+):8071", path.read_text(), re.MULTILINE)
    check(servers == [(name, name) for name in nodes], path, f"the nodes are {list(nodes)}")


def resources(folder):
    """What a kustomization lists, and the examples beside it, with the file of each."""
    path = folder / "kustomization.yaml"
    listed = yaml.safe_load(path.read_text())["resources"]
    for name in listed:
        check((folder / name).exists(), path, f"there is no {name}")
    examples = set(folder.glob("*.example.yaml"))
    beside = examples | {path, folder / "secret.yaml"}
    for file in set(folder.glob("*.yaml")) - beside:
        check(file.name in listed, path, f"it does not list {file.name}")
    files = [folder / name for name in listed if (folder / name).is_file()]
    for file in files + sorted(examples):
        for resource in yaml.safe_load_all(file.read_text()):
            yield resource["kind"], (file, resource)


def kubernetes(drain, package):
    folder = DEPLOY / "kubernetes"
    found = dict(resources(folder)) | dict(resources(DEPLOY / "kubernetes-autoscaled"))
    # From here on they are looked into.
    stop_if_any()
    path, deployment = found["Deployment"]
    template = deployment["spec"]["template"]
    pod, labels = template["spec"], template["metadata"]["labels"]
    selectors = [
        (file, selector.get("matchLabels", selector))
        for kind in ("Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy")
        for file, resource in [found[kind]]
        for key, selector in resource["spec"].items()
        if key in ("selector", "podSelector")
    ]
    spreads = pod["topologySpreadConstraints"]
    selectors += [(path, spread["labelSelector"]["matchLabels"]) for spread in spreads]
    for file, selector in selectors:
        check(selector and selector.items() <= labels.items(), file, f"{selector} selects no pod")

    container = pod["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    probes = [container[f"{name}Probe"] for name in ("startup", "liveness", "readiness")]
    used = [(path, probe["httpGet"]["port"]) for probe in probes]
    file, service = found["Service"]
    used += [(file, port["targetPort"]) for port in service["spec"]["ports"]]
    file, policy = found["NetworkPolicy"]
    used += [(file, port["port"]) for rule in policy["spec"]["ingress"] for port in rule["ports"]]
    for file, port in used:
        check(port in ports, file, f"the container has no port {port}")

    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    in_time = pod["terminationGracePeriodSeconds"] > pause + REQUESTS + drain
    check(in_time, path, "a pod is killed before it has drained")

    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    generated = kustomization["configMapGenerator"]
    for name in [name for each in generated for name in each["envs"]]:
        check((folder / name).exists(), folder / "kustomization.yaml", f"there is no {name}")
    made = {each["name"] for each in generated}
    made.add(found["Secret"][1]["metadata"]["name"])
    for source in container["envFrom"]:
        for reference in source.values():
            check(reference["name"] in made, path, f"nothing makes {reference['name']}")
    tags = {image["name"]: image["newTag"] for image in kustomization["images"]}
    of_release = tags == {container["image"]: package["version"]}
    check(of_release, folder / "kustomization.yaml", f"its images are not of {package['version']}")
    file, scaler = found["HorizontalPodAutoscaler"]
    target = scaler["spec"]["scaleTargetRef"]["name"]
    check(target == deployment["metadata"]["name"], file, f"there is no deployment {target}")


package = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
known = settings()
drain = seconds(known["drain_timeout"])
variables(known)
dockerfile(package)
compose(drain)
kubernetes(drain, package)
stop_if_any()
print("the files agree")
