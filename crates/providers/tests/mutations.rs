//! The vectors are worth something only if a wrong row fails them: here each field of each row that
//! has vectors is made wrong, one at a time.

use std::{collections::BTreeMap, fs, path::Path};

use hookwright_providers::{
    Provider, catalogue,
    row::{Algorithm, Encoding, Hash, JwtAlgorithm, KeyForm, Row, Scheme, TimeUnit},
    vectors::Vectors,
};

/// Mutations that no vector can notice, and why.
const UNNOTICED: &[(&str, &str, &str)] =
    &[("mollie", "prefix_optional", "Mollie's page shows both forms, so its vectors take either")];

type Mutation = (&'static str, Box<dyn Fn(&mut Row)>);

fn mutations(row: &Row) -> Vec<Mutation> {
    let mut all: Vec<Mutation> = Vec::new();
    let mut add = |applies: bool, field: &'static str, change: Box<dyn Fn(&mut Row)>| {
        if applies {
            all.push((field, change));
        }
    };
    let nowhere = || Some("h:x-nothing-is-here".to_owned());
    add(
        row.hash.is_some(),
        "hash",
        Box::new(|r| {
            r.hash = Some(match r.hash {
                Some(Hash::Sha256) => Hash::Sha1,
                _ => Hash::Sha256,
            });
        }),
    );
    add(
        row.encoding.is_some(),
        "encoding",
        Box::new(|r| {
            r.encoding = Some(match r.encoding {
                Some(Encoding::Hex) => Encoding::Base64,
                _ => Encoding::Hex,
            });
        }),
    );
    add(
        row.signed.is_some(),
        "signed",
        Box::new(|r| {
            r.signed.as_mut().expect("there").push('x');
        }),
    );
    add(row.signature.is_some(), "signature", Box::new(move |r| r.signature = nowhere()));
    add(row.prefix.is_some(), "prefix", Box::new(|r| r.prefix = Some("wrong=".to_owned())));
    add(
        row.prefix.is_some(),
        "prefix_optional",
        Box::new(|r| {
            r.prefix_optional = !r.prefix_optional;
        }),
    );
    add(row.version.is_some(), "version", Box::new(|r| r.version = Some("v99".to_owned())));
    add(row.items.is_some(), "items", Box::new(|r| r.items = Some("~".to_owned())));
    add(row.kv.is_some(), "kv", Box::new(|r| r.kv = Some("~".to_owned())));
    add(row.groups.is_some(), "groups", Box::new(|r| r.groups = Some("~".to_owned())));
    add(
        row.algorithm.is_some(),
        "algorithm",
        Box::new(|r| {
            r.algorithm = Some(match r.algorithm {
                Some(Algorithm::Ed25519) => Algorithm::EcdsaP256,
                Some(Algorithm::RsaSha256) => Algorithm::RsaSha1,
                _ => Algorithm::Ed25519,
            });
        }),
    );
    let key = row.signature.is_some();
    add(
        key,
        "key",
        Box::new(|r| {
            r.key = match r.key {
                KeyForm::Utf8 => KeyForm::Sha256,
                KeyForm::Pem | KeyForm::RawBase64 | KeyForm::SpkiBase64 => KeyForm::RawHex,
                KeyForm::RawHex => KeyForm::RawBase64,
                _ => KeyForm::Utf8,
            };
        }),
    );
    add(row.message_id.is_some(), "message_id", Box::new(move |r| r.message_id = nowhere()));
    add(row.timestamp.is_some(), "timestamp", Box::new(move |r| r.timestamp = nowhere()));
    add(
        row.timestamp.is_some() && row.tolerance_s.is_some(),
        "timestamp_unit",
        Box::new(|r| {
            r.timestamp_unit = match r.timestamp_unit {
                TimeUnit::Seconds => TimeUnit::Millis,
                _ => TimeUnit::Seconds,
            };
        }),
    );
    add(row.tolerance_s.is_some(), "tolerance_s", Box::new(|r| r.tolerance_s = None));
    add(row.tolerance_s.is_some(), "tolerance_s", Box::new(|r| r.tolerance_s = Some(1)));
    add(!row.url_variants.is_empty(), "url_variants", Box::new(|r| r.url_variants.clear()));
    add(row.body_hash_query.is_some(), "body_hash_query", Box::new(|r| r.body_hash_query = None));
    add(row.token.is_some(), "token", Box::new(move |r| r.token = nowhere()));
    add(
        !row.algorithms.is_empty(),
        "algorithms",
        Box::new(|r| {
            r.algorithms = match r.algorithms.as_slice() {
                [JwtAlgorithm::Es256] => vec![JwtAlgorithm::Rs256],
                _ => vec![JwtAlgorithm::Es256],
            };
        }),
    );
    add(!row.claims.is_empty(), "claims", Box::new(|r| r.claims.clear()));
    add(row.max_age_s.is_some(), "max_age_s", Box::new(|r| r.max_age_s = None));
    add(
        row.body_claim.is_some(),
        "body_claim",
        Box::new(|r| {
            r.body_claim = None;
            r.body_claim_encoding = None;
            r.event_id = None;
            r.event_id_signed = true;
        }),
    );
    add(
        row.body_claim.is_some(),
        "body_claim_encoding",
        Box::new(|r| {
            r.body_claim_encoding = Some(match r.body_claim_encoding {
                Some(Encoding::Hex) => Encoding::Base64,
                _ => Encoding::Hex,
            });
        }),
    );
    add(
        true,
        "scheme",
        Box::new(|r| {
            let (id, settings) = (r.id.clone(), r.settings.clone());
            *r = serde_json::from_str(r#"{"id":"x","scheme":"none"}"#).expect("a row");
            (r.id, r.settings, r.scheme) = (id, settings, Scheme::None);
        }),
    );
    all
}

/// How many cases of a provider's files a row gets wrong.
fn wrong(row: &Row, files: &[Vectors]) -> usize {
    let mut wrong = 0;
    for file in files {
        // Where an id stands has no part in whether it is genuine.
        let mut row = row.clone();
        (row.event_id, row.event_id_signed) = (None, true);
        let settings = file.settings.clone();
        let Ok(provider) = Provider::from_row(row).and_then(|p| p.configured(&settings)) else {
            // The build refuses it.
            return usize::MAX;
        };
        for case in &file.cases {
            let verdict = file.run(&provider, case).expect("a case that can be run");
            wrong += usize::from(!case.expect.agrees(&verdict));
        }
    }
    wrong
}

#[test]
fn a_changed_row_fails_its_vectors() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut files: BTreeMap<String, Vec<Vectors>> = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "json") {
            let text = fs::read_to_string(path).expect("a file");
            let file = Vectors::read(&text).expect("vectors");
            files.entry(file.provider.clone()).or_default().push(file);
        }
    }
    let (mut unnoticed, mut tried, mut refused) = (Vec::new(), 0, 0);
    for (id, files) in &files {
        let row = catalogue::find(id).expect("in the catalogue").row();
        assert_eq!(wrong(row, files), 0, "{id} as it is");
        for (field, change) in mutations(row) {
            let mut changed = row.clone();
            change(&mut changed);
            tried += 1;
            match wrong(&changed, files) {
                0 => unnoticed.push((id.as_str(), field)),
                usize::MAX => refused += 1,
                _ => {}
            }
        }
    }
    let known: Vec<_> = UNNOTICED.iter().map(|(id, field, _)| (*id, *field)).collect();
    let news: Vec<_> = unnoticed.iter().filter(|u| !known.contains(u)).collect();
    assert!(news.is_empty(), "no vector notices these: {news:?}");
    let gone: Vec<_> = known.iter().filter(|k| !unnoticed.contains(k)).collect();
    assert!(gone.is_empty(), "these are noticed after all: {gone:?}");
    assert!(tried > 700, "only {tried} mutations were tried");
    println!("{tried} mutations, {refused} of them refused before any vector");
    assert!(refused < tried / 10, "{refused} of {tried} mutations do not even parse");
}
