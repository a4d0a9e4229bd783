//! Tokens and revocations.

use std::collections::HashSet;

use domain::{
    id::TokenId,
    page::Order,
    token::{Access, Revocation, Revoked, Token},
};

use super::fixture::{ACTOR, Fixture, assert_pages, at, newest};
use crate::{Store, publish::Published, tokens::TokenUse};

fn new_token(f: &Fixture<'_>, secs: u64) -> Token {
    Token {
        id: TokenId::generate(at(secs), &*f.entropy),
        org: f.org,
        app: None,
        session_id: None,
        name: None,
        access: Access::Full,
        hash: None,
        last_used_at: None,
        created_at: at(secs),
        expires_at: at(500),
    }
}

/// Every kind of revocation is kept until it may be forgotten.
pub async fn are_refused_until_forgotten(store: &dyn Store) {
    let f = Fixture::new(store);
    let app = f.new_application(at(0)).id;
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
        assert_eq!(store.revoke(&ACTOR, f.org, None, revocation.clone()).await, Ok(()));
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
        assert_eq!(store.revoke(&ACTOR, f.org, None, revocation(what)).await, Ok(()));
        versions.org += 1;
        assert_eq!(f.versions(&app).await, versions);
    }
    let allowed = f.routed(before, f.message(&app, at(6)), &[&endpoint]);
    assert_eq!(f.publish(allowed).await, Published::Stale);
    let again = f.routed(versions, f.message(&app, at(6)), &[&endpoint]);
    assert_eq!(f.publish(again).await, Published::Stored);

    // One that nobody has heard of counts as well, and for itself.
    assert_eq!(store.load_organization(other).await.expect("load").version, 0);
    let theirs = revocation(Revoked::Token([8; 32]));
    assert_eq!(store.revoke(&ACTOR, other, None, theirs).await, Ok(()));
    assert_eq!(store.load_organization(other).await.expect("load").version, 1);
    assert_eq!(f.versions(&app).await, versions);
}

/// Everything of a token's row is kept, and shown to its own organization.
pub async fn keep_all_they_are_given(store: &dyn Store) {
    let f = Fixture::new(store);
    let plain = new_token(&f, 0);
    let full = Token {
        app: Some(f.new_application(at(0)).id),
        session_id: Some("s \0 1".into()),
        name: Some("the console, \u{1F44B}".into()),
        access: Access::Read,
        hash: Some(std::array::from_fn(|i| i as u8)),
        last_used_at: Some(at(3)),
        ..new_token(&f, 1)
    };
    for token in [plain, full] {
        assert_eq!(store.create_token(&ACTOR, token.clone()).await, Ok(()));
        assert_eq!(store.token(f.other().org, token.id).await, Ok(None));
        assert_eq!(store.token(f.org, token.id).await, Ok(Some(token)));
    }
}

/// They are listed by id, those of one organization.
pub async fn are_listed_in_pages_both_ways(store: &dyn Store) {
    let f = Fixture::new(store);
    let mut tokens: Vec<_> = (0..5).map(|secs| new_token(&f, secs)).collect();
    for token in &tokens {
        assert_eq!(store.create_token(&ACTOR, token.clone()).await, Ok(()));
    }
    let theirs = new_token(&f.other(), 9);
    assert_eq!(store.create_token(&ACTOR, theirs.clone()).await, Ok(()));
    tokens.reverse();
    let page = store.list_tokens(f.org, newest(50)).await.expect("a page");
    assert_eq!((page.items, page.done), (tokens.clone(), true));
    let ids: Vec<_> = tokens.iter().map(|token| token.id).collect();
    assert_pages(&ids, Order::Descending, async |request| {
        store.list_tokens(f.org, request).await.expect("a page").map(|token| token.id)
    })
    .await;
    assert_eq!(store.list_tokens(theirs.org, newest(50)).await.expect("a page").items, [theirs]);
}

/// When they were last used is noted, and never goes back; one without a row, or of another
/// organization, is passed over.
pub async fn remember_when_they_were_used(store: &dyn Store) {
    let f = Fixture::new(store);
    let (one, two) = (new_token(&f, 0), new_token(&f, 1));
    for token in [&one, &two] {
        assert_eq!(store.create_token(&ACTOR, token.clone()).await, Ok(()));
    }
    let used = |token: &Token, at| TokenUse { org: token.org, id: token.id, at };
    let strange = TokenUse { org: f.other().org, ..used(&two, at(9)) };
    let uses = vec![used(&new_token(&f, 2), at(8)), used(&one, at(7)), strange];
    assert_eq!(store.note_token_uses(uses).await, Ok(()));
    let last = async |token: &Token| {
        let found = store.token(f.org, token.id).await.expect("answers");
        found.expect("a row").last_used_at
    };
    assert_eq!((last(&one).await, last(&two).await), (Some(at(7)), None));
    let uses = vec![used(&one, at(6)), used(&two, at(9))];
    assert_eq!(store.note_token_uses(uses).await, Ok(()));
    assert_eq!((last(&one).await, last(&two).await), (Some(at(7)), Some(at(9))));
    assert_eq!(store.note_token_uses(Vec::new()).await, Ok(()));
}
