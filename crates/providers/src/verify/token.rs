//! Schemes `token`, `basic` and `bearer`: the secret itself is sent along.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::{
    Reason, Secret, encoding,
    row::{Encoding, Place, Places},
    verdict::Proof,
    view::View,
};

/// The first of the places that holds anything must hold one of the secrets, and nothing else: where
/// a place leads to several values, all of them are that one.
pub(super) fn equal(places: &Places, view: &View<'_>, secrets: &[Secret]) -> Result<Proof, Reason> {
    let values = places
        .iter()
        .map(|place| view.all(&vec![place.clone()]))
        .find(|values| !values.is_empty())
        .ok_or(Reason::MissingToken)?;
    if values.iter().all(|v| v.is_empty()) {
        return Err(Reason::MissingToken);
    }
    one_of(secrets, |secret| values.iter().all(|v| verify_slices_are_equal(v, secret).is_ok()))
}

pub(super) fn basic(view: &View<'_>, secrets: &[Secret]) -> Result<Proof, Reason> {
    let credentials = authorization(view, "Basic ")?;
    let sent = encoding::decode(Encoding::Base64, &credentials).ok_or(Reason::WrongToken)?;
    one_of(secrets, |secret| verify_slices_are_equal(&sent, secret).is_ok())
}

pub(super) fn bearer(view: &View<'_>, secrets: &[Secret]) -> Result<Proof, Reason> {
    let sent = authorization(view, "Bearer ")?;
    one_of(secrets, |secret| verify_slices_are_equal(&sent, secret).is_ok())
}

fn one_of(secrets: &[Secret], fits: impl Fn(&[u8]) -> bool) -> Result<Proof, Reason> {
    let found = secrets
        .iter()
        .position(|s| !s.text().is_empty() && fits(s.text().as_bytes()))
        .ok_or(Reason::WrongToken)?;
    Ok(Proof { secret: Some(found), ..Proof::default() })
}

/// What follows the scheme (whose case does not matter, RFC 9110 section 11.1) in `Authorization`.
pub(crate) fn authorization(view: &View<'_>, scheme: &str) -> Result<Vec<u8>, Reason> {
    let place = Place::Header("authorization".to_owned());
    let value = view.all(&vec![place]).into_iter().next().ok_or(Reason::MissingToken)?;
    let (start, rest) = value.split_at_checked(scheme.len()).ok_or(Reason::WrongToken)?;
    let fits = start.eq_ignore_ascii_case(scheme.as_bytes()) && !rest.is_empty();
    if fits { Ok(rest.to_vec()) } else { Err(Reason::WrongToken) }
}
