//! Sources that make their events themselves, by the clock.

use croner::parser::{CronParser, Seconds, Year};
use domain::clock::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::{ConfigError, fields};

/// A schedule is no longer than this, in bytes.
const LONGEST_SCHEDULE: usize = 256;
/// A content type is no longer than this, in bytes.
const LONGEST_CONTENT_TYPE: usize = 256;
/// A moment from which every schedule that can fire at all does so: a leap year begins.
const SOME_TIME: Timestamp = Timestamp::from_secs(1_704_067_200);

/// When a cron source makes an event, and which.
#[derive(Clone, Debug)]
pub struct Cron {
    /// When.
    pub schedule: Schedule,
    /// The event's body.
    pub payload: String,
    /// Of the body; JSON if nobody says.
    pub content_type: Option<String>,
    /// What is done about times that have passed while no server ran.
    pub missed: Missed,
}

/// See [`Cron::missed`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missed {
    /// They are passed over.
    #[default]
    Skip,
    /// Each has its event, late.
    CatchUp,
}

impl Cron {
    /// Reads a cron source's configuration: `schedule` and `payload`, and perhaps `contentType` and
    /// `missed` (`skip` or `catch_up`).
    pub fn read(config: &Value) -> Result<Self, ConfigError> {
        let mut fields = fields::object(config)?;
        let mut needed = |name| {
            let value = fields::text(&mut fields, name)?;
            value.ok_or_else(|| ConfigError::new(name, "is needed"))
        };
        let schedule = Schedule::parse(&needed("schedule")?)
            .map_err(|why| ConfigError::new("schedule", why))?;
        let payload = needed("payload")?;
        let content_type = fields::text(&mut fields, "contentType")?;
        let fits = |t: &String| {
            (1..=LONGEST_CONTENT_TYPE).contains(&t.len())
                && t.bytes().all(|b| (32..127).contains(&b))
        };
        if !content_type.as_ref().is_none_or(fits) {
            let why = format!("must be 1 to {LONGEST_CONTENT_TYPE} printable characters");
            return Err(ConfigError::new("contentType", why));
        }
        let missed = match fields::text(&mut fields, "missed")?.as_deref() {
            None | Some("skip") => Missed::Skip,
            Some("catch_up") => Missed::CatchUp,
            Some(_) => return Err(ConfigError::new("missed", "must be `skip` or `catch_up`")),
        };
        if let Some(name) = fields.keys().next() {
            let known = "schedule, payload, contentType, missed";
            let why = format!("this type has no such field; those it has: {known}");
            return Err(ConfigError::new(name, why));
        }
        Ok(Self { schedule, payload, content_type, missed })
    }
}

/// Moments by the clock, in UTC: a cron pattern of five fields (minute, hour, day, month, weekday), or of
/// six with seconds before them, or a nickname such as `@daily`.
#[derive(Clone, Debug)]
pub struct Schedule(croner::Cron);

impl Schedule {
    /// Reads one; says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST_SCHEDULE || !text.is_ascii() {
            return Err(format!("must be at most {LONGEST_SCHEDULE} ASCII characters"));
        }
        let parser =
            CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let schedule = Self(parser.parse(text).map_err(|error| error.to_string())?);
        match schedule.next(SOME_TIME) {
            Some(_) => Ok(schedule),
            None => Err("there is no such day".to_owned()),
        }
    }

    /// The first moment after `after`; `None` if there is none that a calendar has.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_microsecond(after.as_micros()).ok()?;
        let next = self.0.find_next_occurrence(&after.to_zoned(TimeZone::UTC), false).ok()?;
        Some(Timestamp::from_secs(next.timestamp().as_second()))
    }
}
