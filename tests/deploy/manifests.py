"""Manifests, in files or folders, against Kubernetes' schemas. The command line of
`kubernetes-validate` passes kinds that it does not know; this does not."""

import sys
from pathlib import Path

import kubernetes_validate
import yaml

# The oldest that the manifests are for, and the newest that is known.
VERSIONS = ["1.30.0", kubernetes_validate.latest_version()]


def files(path):
    if path.is_file():
        return [path]
    return [file for file in sorted(path.glob("*.yaml")) if file.name != "kustomization.yaml"]


def faults(resource):
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(resource, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            place = ".".join(str(part) for part in error.path)
            yield f"Kubernetes {version}: {place}: {error.message}"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield error.message


found = []
for path in map(Path, sys.argv[1:]):
    count = 0
    for file in files(path):
        for resource in yaml.safe_load_all(file.read_text()):
            count += 1
            found += [f"{file}: {fault}" for fault in faults(resource)]
    print(f"{path}: {count} manifests, against Kubernetes {' and '.join(VERSIONS)}")
    if not count:
        found.append(f"{path}: there are none")
if found:
    sys.exit("\n".join(found))
