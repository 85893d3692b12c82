//! Customer tokens: JWTs signed with HS256 by the shop, whose subject is the customer.
//!
//! Accepts no other algorithm. Only HMAC-SHA256 is given to the JWT library,
//! so that no code for keys nobody uses is built in.

use crate::limits::TOKEN_LEEWAY_SECONDS;
use hmac::{Hmac, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use kilat_api::text::is_customer;
use serde::Deserialize;
use sha2::Sha256;
use signature::Verifier;

/// Verifies customer tokens.
#[derive(Clone)]
pub(crate) struct CustomerKey {
    key: DecodingKey,
    rules: Validation,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

impl CustomerKey {
    /// `secret` is what the shop signs with.
    pub(crate) fn new(secret: &[u8]) -> Self {
        // Fails only if it is installed already, by an earlier server of this process.
        let _ = HS256_ONLY.install_default();
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_required_spec_claims(&["exp", "sub"]);
        rules.leeway = TOKEN_LEEWAY_SECONDS;
        CustomerKey { key: DecodingKey::from_secret(secret), rules }
    }

    /// The customer whom `token` names, if it is genuine and has not expired.
    pub(crate) fn customer(&self, token: &str) -> Option<String> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.key, &self.rules).ok()?.claims;
        is_customer(&claims.sub).then_some(claims.sub)
    }
}

static HS256_ONLY: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
    verifier_factory: hs256,
    key_utils: KeyUtils::new_unimplemented(),
};

fn hs256(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if *algorithm != Algorithm::HS256 {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let mac =
        Hmac::new_from_slice(key.try_get_as_bytes()?).map_err(|_| ErrorKind::InvalidKeyFormat)?;
    Ok(Box::new(Hs256(mac)))
}

/// Compares in constant time.
struct Hs256(Hmac<Sha256>);

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let mac = self.0.clone().chain_update(message);
        mac.verify_slice(signature).map_err(signature::Error::from_source)
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}
