"""What a router's configuration says, as ciscoconfparse2 reads it: lists, classes, policies, and names that lead nowhere."""

import json
import sys

from ciscoconfparse2 import CiscoConfParse

LISTS = r"^(ip access-list extended|ipv6 access-list) (\S+)"


def main():
    configuration = CiscoConfParse(sys.argv[1], syntax="ios")
    lists = {line.text.split()[-1]: words(line) for line in configuration.find_objects(LISTS)}
    classes = {line.text.split()[-1]: words(line) for line in configuration.find_objects(r"^class-map ")}
    policies = {
        line.text.split()[-1]: [[part.text.split()[-1], words(part)] for part in line.children]
        for line in configuration.find_objects(r"^policy-map ")
    }
    lost = [
        f"{name} matches {line}"
        for name, lines in classes.items()
        for line in lines
        if line.startswith("match access-group") and line.split()[-1] not in lists
    ]
    lost += [
        f"{name} has class {part}"
        for name, parts in policies.items()
        for part, _ in parts
        if part != "class-default" and part not in classes
    ]
    idle = sorted(set(classes) - {part for parts in policies.values() for part, _ in parts})
    print(json.dumps({"lists": lists, "classes": classes, "policies": policies, "lost": lost, "idle": idle}))


def words(line):
    return [child.text.strip() for child in line.children]


main()
