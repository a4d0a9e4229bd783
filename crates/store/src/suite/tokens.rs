//! Tokens and revocations.

use std::collections::HashSet;

use domain::{
    id::TokenId,
    token::{Revocation, Revoked, Token},
};

use super::fixture::{Fixture, at};
use crate::{Store, publish::Published};

/// Every kind of revocation is kept until it may be forgotten.
pub async fn are_refused_until_forgotten(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.new_application(at(0)).id;
    for (session_id, app) in [(Some("s-1".to_owned()), Some(app)), (None, None)] {
        let token = Token {
            id: TokenId::generate(at(0), &*f.entropy),
            org: f.org,
            app,
            session_id,
            created_at: at(0),
            expires_at: at(500),
        };
        assert_eq!(store.create_token(token).await, Ok(()));
    }
    assert_eq!(store.revocations(at(0)).await, Ok(Vec::new()));
    let kinds = [
        Revoked::Token(std::array::from_fn(|i| i as u8)),
        Revoked::Application(f.org, app),
        Revoked::Session(f.org, app, "s-1".into()),
    ];
    let revocations: Vec<_> = kinds
        .into_iter()
        .zip([at(100), at(200), at(300)])
        .map(|(what, forget_at)| Revocation { what, issued_until: at(4), at: at(5), forget_at })
        .collect();
    for revocation in &revocations {
        assert_eq!(store.revoke(f.org, revocation.clone()).await, Ok(()));
    }
    for (now, forgotten) in
        [(at(5), 0), (at(99), 0), (at(100), 1), (at(200), 2), (at(299), 2), (at(300), 3)]
    {
        let found = store.revocations(now).await.expect("revocations");
        let wanted: HashSet<_> = revocations[forgotten..].iter().cloned().collect();
        assert_eq!(found.len(), wanted.len(), "at {now}");
        assert_eq!(found.into_iter().collect::<HashSet<_>>(), wanted, "at {now}");
    }
}

/// Revoking is a change of the organization: a message that was allowed and routed before is stale.
pub async fn make_messages_stale_when_revoked(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.application().await;
    let endpoint = f.endpoint(&app).await;
    let other = f.other().org;
    let before = f.versions(&app).await;
    let revocation = |what| Revocation { what, issued_until: at(4), at: at(5), forget_at: at(100) };
    let mut versions = before;
    for what in [
        Revoked::Token([7; 32]),
        Revoked::Application(f.org, app.id),
        Revoked::Session(f.org, app.id, "s-1".into()),
    ] {
        assert_eq!(store.revoke(f.org, revocation(what)).await, Ok(()));
        versions.org += 1;
        assert_eq!(f.versions(&app).await, versions);
    }
    let allowed = f.routed(before, f.message(&app, at(6)), &[&endpoint]);
    assert_eq!(f.publish(allowed).await, Published::Stale);
    let again = f.routed(versions, f.message(&app, at(6)), &[&endpoint]);
    assert_eq!(f.publish(again).await, Published::Stored);

    // One that nobody has heard of counts as well, and for itself.
    assert_eq!(store.load_organization(other).await.expect("load").version, 0);
    assert_eq!(store.revoke(other, revocation(Revoked::Token([8; 32]))).await, Ok(()));
    assert_eq!(store.load_organization(other).await.expect("load").version, 1);
    assert_eq!(f.versions(&app).await, versions);
}
