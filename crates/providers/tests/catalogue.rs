//! What the catalogue holds.

use hookwright_providers::{catalogue, row::Evidence};

/// The kinds of sources that Svix's ingest API has (`cron` is no sender). Of `vgs` it is not known
/// how it signs.
const SVIX: &[&str] = &[
    "generic-webhook",
    "adobe-sign",
    "meta",
    "orum-io",
    "telnyx",
    "tailscale",
    "airwallex",
    "checkbook",
    "docusign",
    "easypost",
    "github",
    "hubspot",
    "nango",
    "openclaw",
    "panda-doc",
    "port-io",
    "rutter",
    "segment",
    "shopify",
    "slack",
    "stripe",
    "vapi",
    "veriff",
    "zoom",
    "beehiiv",
    "brex",
    "clerk",
    "guesty",
    "incident-io",
    "lithic",
    "nash",
    "pleo",
    "psi-fi",
    "replicate",
    "resend",
    "safebase",
    "sardine",
    "stych",
    "svix",
    "open-ai",
    "render",
];

#[test]
fn has_the_kinds_of_sources_that_svix_has() {
    let lacks: Vec<_> = SVIX.iter().filter(|id| catalogue::find(id).is_none()).collect();
    assert!(lacks.is_empty(), "{lacks:?}");
}

#[test]
fn says_what_has_not_been_checked() {
    let all = catalogue::all();
    assert!(all.len() >= 197);
    for provider in all {
        let recalled = provider.row().evidence == Evidence::Recalled;
        assert_eq!(provider.experimental(), recalled, "{}", provider.row().id);
    }
    let experimental = all.iter().filter(|p| p.experimental()).count();
    assert!((10..40).contains(&experimental), "{experimental} of {} are experimental", all.len());
}
