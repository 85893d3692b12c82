//! Who is asking, and what each may do.
//!
//! Every route states one [`Rule`]; a route without one can't be written. Must
//! never know what a route does.

use crate::limits::AUTHORIZATION_BYTES_MAX;
use crate::problem::Fault;
use crate::token::CustomerKey;
use kilat_api::problem::{Code, Problem};

/// The secrets of a server, hashed, so that a leaked memory image or log tells none of them.
#[derive(Clone, Default)]
pub struct Access {
    admin: Option<blake3::Hash>,
    shop: Option<blake3::Hash>,
    customers: Option<CustomerKey>,
    publisher: Option<blake3::Hash>,
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Everybody; credentials are not looked at.
    Public,
    /// The operator.
    Admin,
    /// The operator, the shop, a customer for itself; anybody while no shop or
    /// customer secret is set.
    Order,
    /// The operator, the shop, a customer for itself. Lists name customers, so never anybody.
    List,
    /// The operator, whoever has the token to publish; anybody while there is no such token.
    Publish,
    /// Everybody, but credentials are looked at: the operator gets to see more.
    Read,
}

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The operator, who may do everything.
    Admin,
    /// The shop's own backend, which names the customer.
    Shop,
    /// A customer, by a signed token.
    Customer(String),
    /// Who publishes events.
    Publisher,
    /// Nobody in particular.
    Anyone,
}

impl Caller {
    /// On whose orders only this caller may act; `None` for any.
    #[must_use]
    pub(crate) fn own(&self) -> Option<&str> {
        match self {
            Caller::Customer(name) => Some(name),
            Caller::Admin | Caller::Shop | Caller::Publisher | Caller::Anyone => None,
        }
    }

    /// That this caller may see the topics of sales, which name buyers.
    ///
    /// # Errors
    /// [`Code::Unauthorized`] without credentials, [`Code::Forbidden`] with those of another role.
    pub(crate) fn require_admin(&self) -> Result<(), Fault> {
        match self {
            Caller::Admin => Ok(()),
            Caller::Anyone => Err(Code::Unauthorized.into()),
            Caller::Shop | Caller::Customer(_) | Caller::Publisher => Err(Code::Forbidden.into()),
        }
    }

    /// Whether this caller may act for `customer`.
    #[must_use]
    pub(crate) fn may_act_for(&self, customer: &str) -> bool {
        self.own().is_none_or(|own| own == customer)
    }
}

impl Access {
    /// With the secrets that are set: bearer tokens of operator and shop, and
    /// the key with which the shop signs customers' tokens (HS256).
    #[must_use]
    pub fn new(
        admin_token: Option<&str>,
        shop_token: Option<&str>,
        customer_key: Option<&[u8]>,
    ) -> Self {
        Access {
            admin: admin_token.map(|token| blake3::hash(token.as_bytes())),
            shop: shop_token.map(|token| blake3::hash(token.as_bytes())),
            customers: customer_key.map(CustomerKey::new),
            publisher: None,
        }
    }

    /// The same with the token that publishing needs; without one anybody may publish.
    #[must_use]
    pub fn with_publish_token(self, publish_token: Option<&str>) -> Self {
        let publisher = publish_token.map(|token| blake3::hash(token.as_bytes()));
        Access { publisher, ..self }
    }

    /// The hash of the admin token; `None` where there is none.
    #[must_use]
    pub(crate) fn admin_hash(&self) -> Option<blake3::Hash> {
        self.admin
    }

    /// Whether this is the admin token; in constant time.
    #[must_use]
    pub(crate) fn is_admin(&self, token: &[u8]) -> bool {
        is(self.admin, token)
    }

    /// Whether anybody may order: neither a shop token nor a customer key is set.
    #[must_use]
    fn is_open(&self) -> bool {
        self.shop.is_none() && self.customers.is_none()
    }

    /// Whether an order with this `Authorization` header may name any customer
    /// and nobody has to look closer.
    #[must_use]
    pub(crate) fn is_plain_shop(&self, authorization: Option<&[u8]>) -> bool {
        match authorization {
            None => self.is_open(),
            Some(header) => {
                bearer(header).is_some_and(|token| is(self.shop, token) || is(self.admin, token))
            }
        }
    }

    /// Whether with this `Authorization` header events may be published and nobody has to look
    /// closer.
    #[must_use]
    pub(crate) fn is_plain_publisher(&self, authorization: Option<&[u8]>) -> bool {
        match authorization {
            None => self.publisher.is_none(),
            Some(header) => bearer(header)
                .is_some_and(|token| is(self.publisher, token) || is(self.admin, token)),
        }
    }

    /// Who is calling, if they may call a route with `rule`.
    ///
    /// # Errors
    /// [`Code::Unauthorized`] without valid credentials, [`Code::Forbidden`] with those of another role.
    pub(crate) fn admit(&self, rule: Rule, authorization: Option<&[u8]>) -> Result<Caller, Fault> {
        if rule == Rule::Public {
            return Ok(Caller::Anyone);
        }
        let caller = match authorization {
            None if self.is_open_to_anyone(rule) => return Ok(Caller::Anyone),
            None => return Err(Code::Unauthorized.into()),
            Some(header) => self.identify(rule, header).ok_or_else(wrong_credentials)?,
        };
        match (rule, &caller) {
            (_, Caller::Admin) | (Rule::Read, _) | (Rule::Publish, Caller::Publisher) => Ok(caller),
            (Rule::Publish, _) if self.publisher.is_none() => Ok(caller),
            (Rule::Order | Rule::List, Caller::Shop | Caller::Customer(_)) => Ok(caller),
            _ => Err(Code::Forbidden.into()),
        }
    }

    fn is_open_to_anyone(&self, rule: Rule) -> bool {
        match rule {
            Rule::Public | Rule::Read => true,
            Rule::Order => self.is_open(),
            Rule::Publish => self.publisher.is_none(),
            Rule::Admin | Rule::List => false,
        }
    }

    /// Whose token it is. One that opens several doors counts for the one that is asked for.
    fn identify(&self, rule: Rule, header: &[u8]) -> Option<Caller> {
        let token = bearer(header)?;
        if is(self.admin, token) {
            return Some(Caller::Admin);
        }
        let publishes = is(self.publisher, token);
        if publishes && rule == Rule::Publish {
            return Some(Caller::Publisher);
        }
        if is(self.shop, token) {
            return Some(Caller::Shop);
        }
        if publishes {
            return Some(Caller::Publisher);
        }
        let customer = self.customers.as_ref()?.customer(std::str::from_utf8(token).ok()?)?;
        Some(Caller::Customer(customer))
    }
}

/// `blake3::Hash` compares in constant time.
fn is(expected: Option<blake3::Hash>, token: &[u8]) -> bool {
    expected.is_some_and(|hash| hash == blake3::hash(token))
}

/// The token of `Bearer <token>` (RFC 6750); the scheme in any case.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(7)?;
    let fits = header.len() <= AUTHORIZATION_BYTES_MAX && scheme.eq_ignore_ascii_case(b"bearer ");
    fits.then(|| token.trim_ascii()).filter(|token| !token.is_empty())
}

fn wrong_credentials() -> Fault {
    Problem::new(Code::Unauthorized).with_detail("the credentials are not valid here").into()
}
