"""What Schemathesis can't know of Kilat by the description alone."""

import json
import os

import schemathesis
from schemathesis.core import NOT_SET

# Orders that exist: no generator would guess one.
ORDERS = {
    "showOrder": os.environ["KILAT_ORDER_TO_SHOW"],
    "confirmOrder": os.environ["KILAT_ORDER_TO_CONFIRM"],
    "cancelOrder": os.environ["KILAT_ORDER_TO_CANCEL"],
}

# Not reached with what the suite can send: they belong to a browser's cookie.
UNREACHED = {
    "GET /s/{sale}/orders/{order}",
    "POST /s/{sale}/orders/{order}/cancel",
    "POST /s/{sale}/orders/{order}/confirm",
    "POST /buy",
}

# Refusals that no schema can foresee, by code, or by field of `invalid`.
CODES = {"idempotency_key_reused"}
FIELDS = {"closes_at", "add_supply"}
# By field and the start of the message, where a schema foresees the field's other refusals.
FOR_ONE_REASON = {
    # How many decimals an amount has: as many as its currency has, at most.
    "price.amount": "must have at most",
    # A follower who has seen more than there is follows another log.
    "after": "the log ends before that",
}

LINES = "application/x-ndjson"


@schemathesis.hook
def before_load_schema(ctx, schema):
    """Lets events on lines be generated, which the description can only call a text."""
    content = schema["paths"]["/publish"]["post"]["requestBody"]["content"]
    event = {"$ref": "#/components/schemas/EventRequest"}
    content[LINES] = {"schema": {"type": "array", "items": event, "minItems": 1}}


@schemathesis.serializer(LINES)
def write_lines(ctx, value):
    lines = value if isinstance(value, list) else [value]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@schemathesis.hook
def map_path_parameters(ctx, parameters):
    """Asks about an order that exists instead of most that don't."""
    known = ORDERS.get(ctx.operation.definition.raw["operationId"])
    if known and parameters and parameters.get("order", "f")[:1] in list("0123456789ab"):
        return {**parameters, "order": known}
    return parameters


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


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Looks at what is sent in the end: a link may have put another body into a finished case."""
    if case.method.upper() == "GET":
        # It is refused before anybody asks whether the method is right.
        case.body = NOT_SET
    if is_negative(case) and case.query and case.query.get("on_invalid") == "skip":
        # Where a refusal is expected no leniency is asked for: `skip` takes a body with faults.
        del case.query["on_invalid"]


def is_negative(case):
    return case.meta is not None and case.meta.generation.mode.is_negative


@schemathesis.check
def refused_for_a_reason(ctx, response, case):
    """A request that fits its schema is answered 422 for a reason of the rules only."""
    if response.status_code != 422 or not case.meta or not case.meta.generation.mode.is_positive:
        return
    problem = response.json()
    faults = problem.get("errors", [])
    if problem["code"] in CODES or (faults and all(is_of_the_rules(fault) for fault in faults)):
        return
    raise AssertionError(f"a valid request was refused: {problem}")


def is_of_the_rules(fault):
    reason = FOR_ONE_REASON.get(fault["field"])
    return fault["field"] in FIELDS or (reason and fault["message"].startswith(reason))


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
