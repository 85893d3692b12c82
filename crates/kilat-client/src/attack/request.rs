//! The bytes of each request, kept ready: only digits change from one to the next.

use super::options::Plan;
use crate::http::Token;
use kilat_api::IDEMPOTENCY_KEY;
use kilat_api::order::OrderRequest;

/// Digits of an order's number in its key, see [`Plan::key`].
const KEY_DIGITS: usize = 10;
/// Hexadecimal digits of an order's id.
const ORDER_ID_DIGITS: usize = 32;

/// What a connection asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Place the order.
    Order,
    /// Confirm the hold that [`Step::Order`] brought.
    Confirm,
    /// Place the acknowledged order once more, with the same key.
    Replay,
}

/// Every request of an attack, as templates of fixed length.
pub(crate) struct Requests {
    buy: OrderTemplate,
    hold: OrderTemplate,
    confirm: ConfirmTemplate,
}

struct OrderTemplate {
    bytes: Vec<u8>,
    key_at: usize,
    buyer_at: usize,
    buyer_digits: usize,
}

struct ConfirmTemplate {
    bytes: Vec<u8>,
    order_at: usize,
}

impl Requests {
    pub(crate) fn new(plan: &Plan, host: &str, prefix: &str, token: Option<&Token>) -> Self {
        let head = Head { host, path: format!("{prefix}/v1/sales/{}/orders", plan.sale), token };
        Requests {
            buy: OrderTemplate::new(plan, &head, false),
            hold: OrderTemplate::new(plan, &head, true),
            confirm: ConfirmTemplate::new(&head),
        }
    }

    /// The request of `step` for the order numbered `order`, with the id `id` once it has one.
    pub(crate) fn bytes(&mut self, plan: &Plan, step: Step, order: u32, id: u128) -> &[u8] {
        match step {
            Step::Confirm => self.confirm.fill(id),
            Step::Order | Step::Replay if plan.holds(order) => self.hold.fill(plan, order),
            Step::Order | Step::Replay => self.buy.fill(plan, order),
        }
    }
}

struct Head<'a> {
    host: &'a str,
    path: String,
    token: Option<&'a Token>,
}

impl Head<'_> {
    fn write(&self, path_end: &str, headers: &str, body: &str) -> String {
        let (host, path) = (self.host, &self.path);
        let token = self
            .token
            .map_or(String::new(), |token| format!("authorization: {}\r\n", token.bearer()));
        format!(
            "POST {path}{path_end} HTTP/1.1\r\nhost: {host}\r\n{token}{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

impl OrderTemplate {
    fn new(plan: &Plan, head: &Head<'_>, hold: bool) -> Self {
        let customer = plan.customer(0);
        let request =
            OrderRequest { customer: customer.as_str().into(), quantity: plan.quantity, hold };
        // Strings and numbers only: nothing in it can fail to be written.
        let body = serde_json::to_string(&request).unwrap_or_default();
        let key = plan.key(0);
        let headers = format!("content-type: application/json\r\n{IDEMPOTENCY_KEY}: {key}\r\n");
        let bytes = head.write("", &headers, &body).into_bytes();
        let body_at = bytes.len() - body.len();
        let key_at = position(&bytes, key.as_bytes(), 0) + key.len() - KEY_DIGITS;
        let buyer_at = position(&bytes, customer.as_bytes(), body_at) + "buyer-".len();
        OrderTemplate { bytes, key_at, buyer_at, buyer_digits: plan.buyer_digits }
    }

    fn fill(&mut self, plan: &Plan, order: u32) -> &[u8] {
        write_digits(&mut self.bytes[self.key_at..self.key_at + KEY_DIGITS], order);
        let buyer = &mut self.bytes[self.buyer_at..self.buyer_at + self.buyer_digits];
        write_digits(buyer, plan.buyer_of(order));
        &self.bytes
    }
}

impl ConfirmTemplate {
    fn new(head: &Head<'_>) -> Self {
        let end = format!("/{:032x}/confirm", 0);
        let bytes = head.write(&end, "", "").into_bytes();
        let order_at = position(&bytes, end.as_bytes(), 0) + 1;
        ConfirmTemplate { bytes, order_at }
    }

    fn fill(&mut self, id: u128) -> &[u8] {
        let digits = &mut self.bytes[self.order_at..self.order_at + ORDER_ID_DIGITS];
        for (at, digit) in digits.iter_mut().enumerate() {
            let nibble = (id >> (4 * (ORDER_ID_DIGITS - 1 - at))) as usize & 0xf;
            *digit = b"0123456789abcdef"[nibble];
        }
        &self.bytes
    }
}

fn position(bytes: &[u8], part: &[u8], from: usize) -> usize {
    from + memchr::memmem::find(&bytes[from..], part).unwrap_or_default()
}

fn write_digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::AttackOptions;
    use super::*;

    fn requests(hold: f64) -> (Plan, Requests) {
        let options = AttackOptions { hold, quantity: 3, ..AttackOptions::default() };
        let plan = Plan::new(&options).unwrap();
        let token = Token::from("t0");
        let requests = Requests::new(&plan, "h:1", "/shop", Some(&token));
        (plan, requests)
    }

    /// Path, headers in one text, body.
    fn read(bytes: &[u8]) -> (String, String, String) {
        let text = std::str::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let (first, headers) = head.split_once("\r\n").unwrap();
        (first.to_owned(), headers.to_owned(), body.to_owned())
    }

    #[test]
    fn an_order_carries_its_own_key_and_customer() {
        for (hold, order) in [(0.0, 0), (0.0, 499), (1.0, 4_294_967_294)] {
            let (plan, mut requests) = requests(hold);
            let (first, headers, body) = read(requests.bytes(&plan, Step::Order, order, 0));
            assert_eq!(first, format!("POST /shop/v1/sales/{}/orders HTTP/1.1", plan.sale));
            assert!(
                headers.contains(&format!("idempotency-key: {}\r\n", plan.key(order))),
                "{headers}"
            );
            assert!(headers.contains("authorization: Bearer t0\r\n"));
            assert!(headers.contains(&format!("content-length: {}", body.len())));
            let sent: OrderRequest<'_> = serde_json::from_str(&body).unwrap();
            assert_eq!(sent.customer, plan.customer(plan.buyer_of(order)));
            assert_eq!((sent.quantity, sent.hold), (3, hold > 0.0));
        }
    }

    #[test]
    fn a_replay_is_the_same_bytes() {
        let (plan, mut requests) = requests(0.5);
        for order in 0..50 {
            let first = requests.bytes(&plan, Step::Order, order, 0).to_vec();
            assert_eq!(first, requests.bytes(&plan, Step::Replay, order, 9));
        }
    }

    #[test]
    fn a_confirmation_names_the_order() {
        let (plan, mut requests) = requests(0.0);
        let id = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdefu128;
        let (first, headers, body) = read(requests.bytes(&plan, Step::Confirm, 1, id));
        assert!(
            first.ends_with("/orders/0123456789abcdef0123456789abcdef/confirm HTTP/1.1"),
            "{first}"
        );
        assert!(headers.contains("content-length: 0") && body.is_empty());
    }
}
