#!/usr/bin/env python3
"""Counts the test cases of one `bazel test` run.

Usage: count_cases.py BUILD_EVENTS.json

Reads the file of --build_event_json_file and the test.xml files it names, and prints one line
"PASSED FAILED SKIPPED", then one line for each case that failed or was skipped, with its reason.
A test target without readable results counts as one failed case.
"""

import json
import os
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree


class Count:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def add_case(self, label, case):
        name = label + " " + ".".join(filter(None, [case.get("classname"), case.get("name")]))
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            self.failed.append(name)
        elif skipped is not None or case.get("result") == "skipped":
            reason = skipped.get("message", "") if skipped is not None else ""
            self.skipped.append("%s: %s" % (name, " ".join(reason.split()) or "no reason given"))
        elif case.get("status") == "notrun":
            self.skipped.append("%s: disabled" % name)
        else:
            self.passed += 1

    def add_target(self, label, status, paths):
        failures = len(self.failed)
        cases = 0
        for path in paths:
            try:
                found = list(ElementTree.parse(path).getroot().iter("testcase"))
            except (OSError, ElementTree.ParseError) as error:
                print("unreadable results of %s: %s" % (label, error), file=sys.stderr)
                continue
            cases += len(found)
            for case in found:
                self.add_case(label, case)
        if status != "PASSED" and len(self.failed) == failures:
            self.failed.append("%s: %s" % (label, status))
        elif status == "PASSED" and cases == 0:
            self.failed.append("%s: passed without a single test case" % label)


def read_events(name):
    """Yields (label, status, paths of test.xml) of each test target, once each."""
    results, statuses = {}, {}
    with open(name, encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            identity = event.get("id", {})
            if "testResult" in identity and "testResult" in event:
                label, shard = identity["testResult"]["label"], identity["testResult"].get("shard", 0)
                for output in event["testResult"].get("testActionOutput", []):
                    if output["name"] == "test.xml":
                        path = urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path)
                        # The last attempt of a shard is the one that counts.
                        results.setdefault(label, {})[shard] = path
            elif "testSummary" in identity and "testSummary" in event:
                status = event["testSummary"].get("overallStatus", "NO_STATUS")
                statuses[identity["testSummary"]["label"]] = status
    for label in sorted(statuses):
        paths = results.get(label, {}).values()
        yield label, statuses[label], [path for path in paths if os.path.exists(path)]


def main():
    count = Count()
    for label, status, paths in read_events(sys.argv[1]):
        count.add_target(label, status, paths)
    print(count.passed, len(count.failed), len(count.skipped))
    for name in count.failed:
        print("failed:", name)
    for name in count.skipped:
        print("skipped:", name)


if __name__ == "__main__":
    main()
