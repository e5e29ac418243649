#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Redis over TLS, with certificates on both sides and a user that may do just what a fleet needs: two appliances share a
policy through it. Whoever has not the right CA, certificate, password or user does not get in and says why, and comes in
as soon as that is put right; a user that lacks a right is told which."""

import os
import sys

from appliance import Appliance, Failure, ROOT
from redis_server import Redis
from servers import make_certificates

BUNDLES = ROOT / "examples/policies/payments/bundles"
SECRET = "a secret of the fleet"
PASSWORD = "the user's own"
# What docs/policy-lifecycle.md gives the user.
RIGHTS = ["resetkeys", "~riskgate:*", "resetchannels", "&riskgate:*", "-@all", "+auth", "+select", "+ping", "+eval", "+get",
          "+set", "+del", "+hget", "+hmget", "+hset", "+exists", "+incr", "+pexpire", "+publish", "+subscribe"]


def give(redis, *rights):
    answer = redis.command("ACL", "SETUSER", "riskgate", "reset", "on", ">" + PASSWORD, *rights)
    if answer != "+OK":
        raise Failure(f"ACL SETUSER: {answer}")


def node(build, redis, certificates, number, **redis_settings):
    password = redis.folder / f"password-{number}"
    password.write_text(PASSWORD + "\n")
    key = redis.folder / "key"
    key.write_text(SECRET)
    return Appliance(build, huge_pages=False, instance=f"rg{os.getpid()}t{number}", settings={
        "node": number,
        "region": {"ring_bytes": "1MiB"},
        "dataplane": {"memory_mib": 96, "mbufs": 4096, "idle_sleep_us": 200},
        "redis": {"enabled": True, "port": redis.port, "username": "riskgate", "password_file": str(password),
                  "key_file": str(key), "tls": True, "tls_ca": str(certificates / "ca.pem"),
                  "tls_cert": str(certificates / "client.pem"), "tls_key": str(certificates / "client.key"), **redis_settings}})


def wait_for_error(unit, words):
    """It does not get in, and says so."""
    def refused(status):
        return not status["fleet"]["redis"] and any(word in status["fleet"].get("last_error", "") for word in words)
    error = unit.wait_until(refused, 20, f"an error that says one of {words}")["fleet"]["last_error"]
    if PASSWORD in error:
        raise Failure(f"the password is in the error: {error}")
    print(f"refused: {error}", flush=True)


def shares(a, b):
    a.start()
    b.start()
    a.riskctl("policy", "push", BUNDLES / "payments-1.tar.gz", "--reason", "over TLS")
    b.wait_until(lambda status: status["policy"].get("revision") == "payments-1", 30, "payments-1 on the other node")
    for unit in (a, b):
        fleet = unit.riskctl("status")["fleet"]
        if not fleet["redis"] or fleet.get("last_error"):
            raise Failure(f"{fleet}")
    print("shared over TLS by a user with few rights", flush=True)


def lacks_a_right(a, b, redis):
    give(redis, *RIGHTS, "-set")
    redis.command("CLIENT", "KILL", "TYPE", "normal")
    a.riskctl("policy", "push", BUNDLES / "payments-2.tar.gz")
    a.wait_until(lambda status: "NOPERM" in status["fleet"].get("last_error", ""), 20, "the missing right is told")
    print(f"told: {a.riskctl('status')['fleet']['last_error']}", flush=True)
    give(redis, *RIGHTS)
    b.wait_until(lambda status: status["policy"].get("revision") == "payments-2", 30, "payments-2 on the other node")


def password_is_wrong_for_a_while(b, redis):
    file = redis.folder / "password-2"
    file.write_text("another one\n")
    redis.command("CLIENT", "KILL", "USER", "riskgate")
    wait_for_error(b, ["WRONGPASS"])
    file.write_text(PASSWORD + "\n")
    b.wait_until(lambda status: status["fleet"]["redis"], 20, "back with the right password")


def main():
    build = sys.argv[1]
    with Redis(password="an administrator's") as redis:
        redis.kill()
        tls = make_certificates(redis.folder / "tls")
        strangers = make_certificates(redis.folder / "strangers")
        redis.tls = tls
        redis.start()
        give(redis, *RIGHTS)
        for number, settings, words in (
                (3, {"tls_ca": str(strangers / "ca.pem")}, ["certificate verify failed"]),
                (4, {"tls_cert": str(strangers / "client.pem"), "tls_key": str(strangers / "client.key")},
                 ["alert unknown ca", "redis.tls_cert"]),
                (5, {"tls_cert": "", "tls_key": ""}, ["alert certificate required", "redis.tls_cert"]),
                (6, {"username": "nobody"}, ["WRONGPASS"]),
                (7, {"tls": False}, ["the connection broke", "no answer"])):
            with node(build, redis, tls, number, **settings) as unit:
                unit.start_control()
                wait_for_error(unit, words)
        with node(build, redis, tls, 1) as a, node(build, redis, tls, 2) as b:
            shares(a, b)
            lacks_a_right(a, b, redis)
            password_is_wrong_for_a_while(b, redis)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"failed: {failure}")
