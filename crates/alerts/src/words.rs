//! Alerts in plain words.

use domain::{
    alert::{Alert, Condition, Latency, Rejections, Subject},
    duration::HumanDuration,
};

use crate::notify::Event;

/// What a value is of, and how it compares: `81.2 % of attempts succeeded in the last 5m (threshold: 90 %)`.
fn finding(condition: &Condition, value: f64) -> String {
    let (threshold, unit) = condition.threshold();
    let (value, threshold) = (unit.show(value), unit.show(threshold));
    match condition {
        Condition::EndpointFailing { .. } => {
            format!("has only failed for {value} (threshold: {threshold})")
        }
        Condition::EndpointDisabled => "was disabled because it failed".to_owned(),
        Condition::BacklogAge { .. } => {
            format!("has work that has been due for {value} (threshold: {threshold})")
        }
        Condition::SuccessRateBelow { of, .. } => {
            let window = HumanDuration(of.window);
            format!("{value} of attempts succeeded in the last {window} (threshold: {threshold})")
        }
        Condition::LatencyAbove { latency, percentile, of, .. } => {
            let (window, percentile) = (HumanDuration(of.window), u8::from(*percentile));
            let what = match latency {
                Latency::Delivery => "delivery time",
                Latency::Response => "response time",
            };
            format!(
                "p{percentile} of {what} was {value} in the last {window} (threshold: {threshold})"
            )
        }
        Condition::SourceRejecting { over, window } => {
            let window = HumanDuration(*window);
            let what = match over {
                Rejections::Share { .. } => "of requests were refused",
                Rejections::Count(_) => "requests were refused",
            };
            format!("{value} {what} in the last {window} (threshold: {threshold})")
        }
        Condition::NothingReceived { .. } => {
            format!("has received nothing for {value} (threshold: {threshold})")
        }
    }
}

/// What it is about; `name` is that of its application.
fn subject(subject: &Subject, name: Option<&str>) -> String {
    let app = |app| match name {
        Some(name) => format!("{name} ({app})"),
        None => format!("{app}"),
    };
    match subject {
        Subject::Organization => "The organization".to_owned(),
        Subject::Application(id) => app(*id),
        Subject::Endpoint(id, endpoint) => format!("{endpoint} of {}", app(*id)),
    }
}

/// The line that a channel gets.
pub fn line(alert: &Alert, event: Event, url: &str) -> String {
    let text = &alert.text;
    let what = match event {
        Event::Fired => "Alert",
        Event::Cleared => "Cleared",
        Event::Test => "Test",
    };
    one_line(&format!("{what}: {}: {text} {url}", alert.rule_name))
}

/// Whether the text of a condition begins with its subject.
fn is_said_of_subject(condition: &Condition) -> bool {
    !matches!(
        condition,
        Condition::SuccessRateBelow { .. }
            | Condition::LatencyAbove { .. }
            | Condition::SourceRejecting { .. }
    )
}

/// A whole sentence.
pub fn text(condition: &Condition, value: f64, of: &Subject, name: Option<&str>) -> String {
    let (subject, finding) = (subject(of, name), finding(condition, value));
    match is_said_of_subject(condition) {
        true => one_line(&format!("{subject} {finding}.")),
        false => one_line(&format!("{subject}: {finding}.")),
    }
}

/// Names are other people's text: no control characters, so that a notice stays one line.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{
        alert::{Of, Per, Percentile},
        id::ApplicationId,
    };

    use super::*;

    #[test]
    fn findings_are_plain() {
        let window = Duration::from_secs(300);
        let of = Of { window, min_attempts: 1, per: Per::Application };
        let app = Subject::Application(ApplicationId::from_raw([0; 20]));
        for (condition, value, want) in [
            (
                Condition::SuccessRateBelow { percent: 90.0, of },
                81.259,
                "Acme: 81.25 % of attempts succeeded in the last 5m (threshold: 90 %).",
            ),
            (
                Condition::LatencyAbove {
                    latency: Latency::Delivery,
                    percentile: Percentile::P99,
                    millis: 500,
                    of,
                },
                1_234.0,
                "Acme: p99 of delivery time was 1234 ms in the last 5m (threshold: 500 ms).",
            ),
            (
                Condition::SourceRejecting { over: Rejections::Count(3), window },
                12.0,
                "Acme: 12 requests were refused in the last 5m (threshold: 3).",
            ),
            (
                Condition::EndpointFailing { time: window },
                360.0,
                "Acme has only failed for 6m (threshold: 5m).",
            ),
        ] {
            let said = text(&condition, value, &app, Some("Acme\r\n"));
            assert!(!said.contains('\n'));
            let id = format!("Acme   ({})", ApplicationId::from_raw([0; 20]));
            assert_eq!(said, want.replace("Acme", &id));
        }
    }
}
