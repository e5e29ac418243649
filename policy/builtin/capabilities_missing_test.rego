# SPDX-License-Identifier: Apache-2.0
# OPA refuses this with riskgate's capabilities: there is no I/O in a decision.
package capabilities

import rego.v1

deny if http.send({"method": "GET", "url": "http://127.0.0.1"}).status_code == 200
