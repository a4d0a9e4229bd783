//! How the value of a setting is read and shown.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use api::JwtAlgorithm;
use domain::{
    duration::HumanDuration,
    organization::SchemaMode,
    retry::RetrySchedule,
    signature::{HeaderStyle, SignatureType},
};
use ipnet::IpNet;
use url::Url;

/// A type that settings have.
pub trait Value: Sized {
    /// From text; the error says what would be right.
    fn read(text: &str) -> Result<Self, String>;
    /// As it would be written.
    fn show(&self) -> String;
}

/// A type whose values have an order, so that a setting can have bounds.
pub trait Range: Value {
    /// The value, if it lies between two that are written as settings are. The error says what would
    /// be right.
    fn within(self, low: &str, high: &str) -> Result<Self, String>;
}

macro_rules! ranges {
    ($($type:ty),*) => {$(
        impl Range for $type {
            fn within(self, low: &str, high: &str) -> Result<Self, String> {
                // What is not a number lies nowhere.
                if (Self::read(low)?..=Self::read(high)?).contains(&self) {
                    return Ok(self);
                }
                Err(format!("expected a value from {low} to {high}"))
            }
        }
    )*};
}

ranges!(u8, u32, u64, usize, f64, Duration);

impl<T: Range> Range for Option<T> {
    /// No value is always right.
    fn within(self, low: &str, high: &str) -> Result<Self, String> {
        self.map(|value| value.within(low, high)).transpose()
    }
}

macro_rules! by_from_str {
    ($($type:ty: $expected:literal;)*) => {$(
        impl Value for $type {
            fn read(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| format!("expected {}", $expected))
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

by_from_str! {
    bool: "true or false";
    u8: "a whole number from 0 to 255";
    u32: "a whole number";
    u64: "a whole number";
    usize: "a whole number";
    f64: "a number";
    SocketAddr: "an address and a port, like 127.0.0.1:8071";
    Url: "a URL";
    IpNet: "a range of addresses, like 10.0.0.0/8";
}

impl Value for String {
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Value for PathBuf {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("expected a path".into()) } else { Ok(text.into()) }
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Value for Duration {
    fn read(text: &str) -> Result<Self, String> {
        HumanDuration::from_str(text)
            .map(|d| d.0)
            .map_err(|_| "expected a duration like 250ms, 5s, 30m, 2h or 5d".into())
    }

    fn show(&self) -> String {
        HumanDuration(*self).to_string()
    }
}

impl<T: Value> Value for Option<T> {
    fn read(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" | "none" => Ok(None),
            text => T::read(text).map(Some),
        }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), T::show)
    }
}

impl<T: Value> Value for Vec<T> {
    fn read(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::read).collect()
    }

    fn show(&self) -> String {
        self.iter().map(T::show).collect::<Vec<_>>().join(", ")
    }
}

impl Value for RetrySchedule {
    fn read(text: &str) -> Result<Self, String> {
        Self::new(Vec::<Duration>::read(text)?).map_err(|error| error.to_string())
    }

    fn show(&self) -> String {
        Vec::<HumanDuration>::from(self.clone())
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

macro_rules! by_name {
    ($($type:ty { $($name:literal = $variant:path),* $(,)? })*) => {$(
        impl Value for $type {
            fn read(text: &str) -> Result<Self, String> {
                match text.trim() {
                    $($name => Ok($variant),)*
                    _ => Err(format!("expected one of {}", [$($name),*].join(", "))),
                }
            }

            fn show(&self) -> String {
                $(if *self == $variant { return $name.to_owned(); })*
                unreachable!("every variant has a name")
            }
        }
    )*};
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// For machines.
    Json,
}

by_name! {
    LogFormat { "human" = LogFormat::Human, "json" = LogFormat::Json }
    JwtAlgorithm {
        "HS256" = JwtAlgorithm::Hs256, "HS384" = JwtAlgorithm::Hs384,
        "HS512" = JwtAlgorithm::Hs512, "RS256" = JwtAlgorithm::Rs256,
        "RS384" = JwtAlgorithm::Rs384, "RS512" = JwtAlgorithm::Rs512,
        "EdDSA" = JwtAlgorithm::EdDsa,
    }
    HeaderStyle {
        "webhook" = HeaderStyle::Webhook, "svix" = HeaderStyle::Svix, "both" = HeaderStyle::Both,
    }
    SignatureType {
        "hmac256" = SignatureType::Hmac256, "ed25519" = SignatureType::Ed25519,
    }
    SchemaMode {
        "off" = SchemaMode::Off, "warn" = SchemaMode::Warn, "reject" = SchemaMode::Reject,
    }
}
