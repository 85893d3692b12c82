//! Strict JSON decoding that names the field at fault.
//!
//! The quick parse carries no path; only when it fails is the body read again
//! with one, so that good requests never pay for the error message.

use crate::advice;
use crate::problem::{Code, FieldFault, Problem};
use serde::de::DeserializeOwned;

/// A type that can be checked beyond its shape.
pub trait Validate {
    /// Adds a fault for each field that is out of range.
    fn validate(&self, faults: &mut Vec<FieldFault>);
}

/// Decodes and validates a body.
///
/// # Errors
/// [`Code::Malformed`] when the bytes are not JSON, with line and column;
/// [`Code::Invalid`] when a field is missing, unknown, of the wrong type or out of range.
pub fn decode<T: DeserializeOwned + Validate>(bytes: &[u8]) -> Result<T, Problem> {
    let value: T = serde_json::from_slice(bytes).map_err(|_| explain::<T>(bytes))?;
    check(&value)?;
    Ok(value)
}

/// Validates a decoded value.
///
/// # Errors
/// [`Code::Invalid`] with every fault found, up to the limit of one reply.
pub fn check(value: &impl Validate) -> Result<(), Problem> {
    let mut faults = Vec::new();
    value.validate(&mut faults);
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
}

/// Says why `bytes` are not a `T`: position for broken JSON, field for a wrong value.
pub fn explain<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Problem {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let fault = match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Err(fault) => fault,
        Ok(_) => {
            return json
                .end()
                .err()
                .map_or_else(|| Problem::new(Code::Malformed), |e| malformed(&e));
        }
    };
    if fault.inner().is_data() {
        let message = without_position(&fault.inner().to_string());
        let field = field_of(&fault.path().to_string(), &message);
        Problem::invalid(vec![FieldFault::new(field, advice::of(&message))])
    } else {
        malformed(fault.inner())
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(Code::Malformed).with_detail(format!("not valid JSON: {error}"))
}

/// serde names a missing, unknown or repeated field only in its message, in back-quotes.
fn field_of(path: &str, message: &str) -> String {
    let parent = path.trim_end_matches(['.', '?']);
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split('`').next());
    match named {
        Some(name) if parent.is_empty() => name.to_owned(),
        Some(name) if parent.rsplit('.').next() != Some(name) => format!("{parent}.{name}"),
        _ => parent.to_owned(),
    }
}

fn without_position(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(head, _)| head).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::OrderRequest;

    #[test]
    fn a_fault_says_what_would_be_right() {
        let problem = explain::<OrderRequest<'_>>(br#"{"customer":"a","quantity":"1"}"#);
        let wanted = "must be a whole number from 0 to 4294967295, not \"1\"";
        assert_eq!(problem.errors[0].message, wanted);
    }

    fn check_fault(body: &str, code: Code, field: &str) {
        let problem = explain::<OrderRequest<'_>>(body.as_bytes());
        assert_eq!(problem.code, code, "{body}: {problem:?}");
        assert_eq!(problem.errors.first().map_or("", |e| &e.field), field, "{body}: {problem:?}");
    }

    #[test]
    fn a_fault_names_its_field_or_its_position() {
        check_fault("", Code::Malformed, "");
        check_fault("{", Code::Malformed, "");
        check_fault(r#"{"customer":"a","quantity":1} x"#, Code::Malformed, "");
        check_fault(r#"{"customer":"a"}"#, Code::Invalid, "quantity");
        check_fault(r#"{"customer":"a","quantity":"1"}"#, Code::Invalid, "quantity");
        check_fault(r#"{"customer":"a","quantity":-1}"#, Code::Invalid, "quantity");
        check_fault(r#"{"customer":"a","quantity":1,"price":0}"#, Code::Invalid, "price");
        check_fault(r#"{"customer":"a","customer":"b","quantity":1}"#, Code::Invalid, "customer");
        check_fault("[]", Code::Invalid, "");
    }
}
