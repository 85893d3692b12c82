"""What Schemathesis can't know of Kilat by the description alone."""

import schemathesis

# Not reached with what the suite can send: they belong to a browser's cookie.
UNREACHED = {"GET /s/{sale}/orders/{order}", "POST /buy"}

# Refusals that no schema can foresee, by code, or by field of `invalid`.
CODES = {"idempotency_key_reused"}
FIELDS = {"closes_at", "add_supply"}


@schemathesis.hook
def map_body(ctx, body):
    """Writes whole numbers as such: to JSON Schema 1.0 is an integer, to Kilat it is none."""
    if isinstance(body, dict):
        return {name: map_body(ctx, value) for name, value in body.items()}
    if isinstance(body, list):
        return [map_body(ctx, item) for item in body]
    if isinstance(body, float) and body.is_integer():
        return int(body)
    return body


@schemathesis.check
def refused_for_a_reason(ctx, response, case):
    """A request that fits its schema is answered 422 for a reason of the rules only."""
    if response.status_code != 422 or not case.meta or not case.meta.generation.mode.is_positive:
        return
    problem = response.json()
    faults = {fault["field"] for fault in problem.get("errors", [])}
    if problem["code"] in CODES or (problem["code"] == "invalid" and faults and faults <= FIELDS):
        return
    raise AssertionError(f"a valid request was refused: {problem}")


@schemathesis.check
class EveryCallSucceedsSometimes:
    """A run in which a call never succeeds has shown nothing about it."""

    def __init__(self):
        self.asked, self.succeeded = set(), set()

    def after_response(self, ctx, response, case):
        self.asked.add(case.operation.label)
        if 200 <= response.status_code < 400:
            self.succeeded.add(case.operation.label)

    def after_run(self, ctx):
        never = self.asked - self.succeeded - UNREACHED
        if never:
            raise AssertionError("never succeeded: " + ", ".join(sorted(never)))
