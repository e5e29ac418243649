# SPDX-License-Identifier: Apache-2.0
"""What a program that was written for OPA does: ask the server at a port with OPA's client library, print what it said.

usage: ask_as_client.py PORT REQUESTS.json     (a list of inputs)
"""

import json
import sys

from opa_client import OpaClient
from opa_client.errors import DeleteDataError, DeletePolicyError, PatchDataError, PolicyNotFoundError

RULES = ("deny", "review", "allow", "score", "reasons", "nowhere")


def refusal(call, *arguments):
    """The library's own exception, with the code that the server gave."""
    try:
        return {"done": call(*arguments)}
    except (DeleteDataError, DeletePolicyError, PatchDataError, PolicyNotFoundError) as error:
        return {"refused": type(error).__name__, "code": str(error).split(",")[0]}
    except Exception as error:  # of requests, which the library lets through
        return {"failed": type(error).__name__, "status": getattr(getattr(error, "response", None), "status_code", None)}


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        inputs = json.load(file)
    said = {}
    with OpaClient(host="127.0.0.1", port=int(sys.argv[1]), retries=0, timeout=30) as client:
        said["connection"] = client.check_connection()
        said["ready"] = client.wait_for_ready(timeout=30, query={"bundles": True})
        said["health"] = [client.check_health(), client.check_health(query={"plugins": True})]
        said["decisions"] = [[client.query_rule(input_data=value, package_path="payments", rule_name=rule).get("result")
                              for rule in RULES] for value in inputs]
        said["package"] = [client.query_rule(input_data=value, package_path="payments")["result"] for value in inputs]
        with_metrics = client.query_rule(inputs[0], "payments", "deny", query_params={"metrics": True, "provenance": True})
        said["provenance"] = with_metrics["provenance"]["bundles"]
        said["timers"] = sorted(key for key in with_metrics["metrics"] if "eval" in key or "handler" in key)
        said["data"] = client.get_data("reference/payments/score")["result"]
        said["no data"] = refusal(client.get_data, "reference/nowhere")
        said["policies"] = client.get_policies_list()
        said["raw"] = {name: client.get_policy(name)["result"]["raw"] for name in said["policies"]}
        said["no policy"] = refusal(client.get_policy, "nowhere")
        said["delete policy"] = refusal(client.delete_policy, said["policies"][0])
        said["delete data"] = refusal(client.delete_data, "reference/payments")
        said["patch data"] = refusal(client.patch_data, "reference/payments", [{"op": "remove", "path": "/score"}])
        config = client.get_config()["result"]
        said["config"] = {key: config[key] for key in ("bundles", "default_decision", "services") if key in config}
        said["config"]["bundles"] = {name: bundle["resource"] for name, bundle in said["config"]["bundles"].items()}
        bundle = client.get_status()["result"]["bundles"]["payments"]
        said["status"] = {key: bundle[key] for key in ("name", "active_revision", "type")}
        said["metrics"] = "# TYPE" in client.get_metrics()
    json.dump(said, sys.stdout)


main()
