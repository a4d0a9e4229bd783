//! Makes `dictionary.bin` anew, from synthetic webhooks: no customer's data goes into it, and the
//! same seed makes the same file. A new dictionary needs a new codec number (see `src/codec.rs`).

use std::{error::Error, fmt::Write as _, fs, path::Path};

use domain::entropy::{Entropy, SeededEntropy};

const DICTIONARY_BYTES: usize = 16 * 1024;
const SAMPLES: usize = 4_096;

struct Maker(SeededEntropy);

impl Maker {
    fn below(&self, bound: usize) -> usize {
        (self.0.unit() * bound as f64) as usize
    }

    fn pick<'a>(&self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn token(&self, prefix: &str, len: usize) -> String {
        const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let tail = (0..len).map(|_| char::from(ALPHABET[self.below(ALPHABET.len())]));
        prefix.chars().chain(tail).collect()
    }

    fn time(&self) -> String {
        format!(
            "20{}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            24 + self.below(6),
            1 + self.below(12),
            1 + self.below(28),
            self.below(24),
            self.below(60),
            self.below(60),
            self.below(1_000)
        )
    }

    fn object(&self) -> String {
        let mut out = String::from("{");
        let fields = 4 + self.below(14);
        for i in 0..fields {
            if i > 0 {
                out.push(',');
            }
            self.field(&mut out);
        }
        out.push('}');
        out
    }

    fn field(&self, out: &mut String) {
        let person = self.pick(&["Jo Doe", "Sam Lee", "Ana Silva", "Max Weber", "Li Na"]);
        // Writing to a String cannot fail.
        let _ = match self.below(22) {
            0 => write!(out, r#""id":"{}""#, self.token("", 24)),
            1 => write!(out, r#""email":"{}@example.com""#, self.token("", 8).to_lowercase()),
            2 => write!(out, r#""name":"{person}""#),
            3 => write!(
                out,
                r#""amount":{},"currency":"{}""#,
                self.below(100_000),
                self.pick(&["usd", "eur", "gbp", "jpy"])
            ),
            4 => write!(out, r#""created_at":"{}","updated_at":"{}""#, self.time(), self.time()),
            5 => write!(out, r#""created":17{}"#, 10_000_000 + self.below(89_999_999)),
            6 => write!(
                out,
                r#""status":"{}""#,
                self.pick(&[
                    "active",
                    "pending",
                    "succeeded",
                    "failed",
                    "canceled",
                    "open",
                    "paid"
                ])
            ),
            7 => write!(
                out,
                r#""object":"{}""#,
                self.pick(&["customer", "invoice", "subscription", "charge", "event", "order"])
            ),
            8 => write!(out, r#""description":null,"metadata":{{}}"#),
            9 => write!(
                out,
                r#""customer":"{}","customer_id":"{}""#,
                self.token("cus_", 14),
                self.token("cus_", 14)
            ),
            10 => write!(out, r#""livemode":{},"test":{}"#, self.below(2) == 1, self.below(2) == 1),
            11 => write!(
                out,
                r#""url":"https://api.example.com/v1/{}/{}""#,
                self.pick(&["customers", "invoices", "orders", "users"]),
                self.token("", 12)
            ),
            12 => write!(
                out,
                r#""address":{{"line1":"{} Main Street","line2":null,"city":"{}","postal_code":"{}","state":"CA","country":"US"}}"#,
                self.below(2_000),
                self.pick(&["Berlin", "London", "New York", "San Francisco"]),
                10_000 + self.below(89_999)
            ),
            13 => write!(
                out,
                r#""items":[{{"id":"{}","quantity":{},"price":{}.{:02},"sku":"{}"}}]"#,
                self.token("item_", 14),
                1 + self.below(9),
                self.below(500),
                self.below(100),
                self.token("SKU-", 6)
            ),
            14 => write!(
                out,
                r#""user":{{"id":{},"login":"{}","type":"User","site_admin":false}}"#,
                self.below(10_000_000),
                self.token("", 9).to_lowercase()
            ),
            15 => write!(
                out,
                r#""repository":{{"id":{},"full_name":"octo/{}","private":false,"html_url":"https://github.com/octo/{}"}}"#,
                self.below(900_000_000),
                self.token("", 7),
                self.token("", 7)
            ),
            16 => write!(out, r#""timestamp":"{}""#, self.time()),
            17 => write!(out, r#""ip":"203.0.113.{}","user_agent":"Mozilla/5.0""#, self.below(255)),
            18 => write!(out, r#""phone":"+1555{:07}","locale":"en-US""#, self.below(9_999_999)),
            19 => write!(
                out,
                r#""total":{},"subtotal":{},"tax":{}"#,
                self.below(90_000),
                self.below(90_000),
                self.below(9_000)
            ),
            20 => write!(
                out,
                r#""previous_attributes":{{"status":"{}"}}"#,
                self.pick(&["active", "pending", "draft"])
            ),
            _ => write!(
                out,
                r#""tags":["{}","{}"],"message":"{}""#,
                self.token("", 5),
                self.token("", 5),
                self.token("", 20)
            ),
        };
    }

    fn webhook(&self) -> String {
        let kind = format!(
            "{}.{}",
            self.pick(&[
                "invoice",
                "customer",
                "user",
                "order",
                "payment",
                "subscription",
                "message"
            ]),
            self.pick(&["created", "updated", "deleted", "paid", "failed", "completed"])
        );
        match self.below(4) {
            0 => format!(
                r#"{{"type":"{kind}","timestamp":"{}","data":{}}}"#,
                self.time(),
                self.object()
            ),
            1 => format!(
                r#"{{"id":"{}","object":"event","api_version":"2024-06-20","created":17{},"data":{{"object":{}}},"livemode":false,"pending_webhooks":1,"request":{{"id":null,"idempotency_key":null}},"type":"{kind}"}}"#,
                self.token("evt_", 24),
                10_000_000 + self.below(89_999_999),
                self.object()
            ),
            2 => format!(
                r#"{{"event":"{kind}","eventId":"{}","payload":{},"createdAt":"{}"}}"#,
                self.token("", 22),
                self.object(),
                self.time()
            ),
            _ => self.object(),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let maker = Maker(SeededEntropy::new(20_261_123));
    let samples: Vec<String> = (0..SAMPLES).map(|_| maker.webhook()).collect();
    let dictionary = zstd::dict::from_samples(&samples, DICTIONARY_BYTES)?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionary.bin");
    fs::write(&path, &dictionary)?;
    println!("{} bytes in {}", dictionary.len(), path.display());
    Ok(())
}
