//! Places in a request, as rows write them.

use super::RowError;

/// Alternatives, the first that is there wins.
pub type Places = Vec<Place>;

/// At most this many alternatives.
const MOST_PLACES: usize = 8;
/// A place's text is no longer than this, in bytes.
const LONGEST_PLACE: usize = 200;

/// Where in a request something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A header.
    Header(String),
    /// All headers whose names begin so.
    Headers(String),
    /// A query parameter of the URL.
    Query(String),
    /// A field of a form, and a value in the JSON that the field holds.
    Form(String, Option<String>),
    /// A value in a JSON body.
    Json(Pointer),
    /// A claim of the verified token.
    Claim(Pointer),
    /// A field of the signature header.
    Signature(String),
    /// The text of an element, or of one of its attributes.
    Xml {
        /// Names of elements, outermost first, without their namespaces.
        path: Vec<String>,
        /// Whether the path begins at the root.
        absolute: bool,
        /// Which attribute, if not the text.
        attribute: Option<String>,
    },
    /// The first member of a JSON object whose name is not this; its name is the value.
    OtherKey(String),
}

/// A JSON pointer (RFC 6901), and a second one into the JSON that a text there holds. A step `*` is
/// every element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The first.
    pub path: String,
    /// The second: `/data#/kind`.
    pub inner: Option<String>,
}

impl Place {
    /// Whether it is the header with this name.
    pub fn is_header(&self, name: &str) -> bool {
        matches!(self, Self::Header(header) if header.eq_ignore_ascii_case(name))
    }

    /// The text it was written as, for messages.
    pub fn text(&self) -> String {
        let pointer = |p: &Pointer| match &p.inner {
            Some(inner) => format!("{}#{inner}", p.path),
            None => p.path.clone(),
        };
        match self {
            Self::Header(name) => format!("h:{name}"),
            Self::Headers(prefix) => format!("h:{prefix}*"),
            Self::Query(name) => format!("q:{name}"),
            Self::Form(name, None) => format!("f:{name}"),
            Self::Form(name, Some(inner)) => format!("f:{name}#{inner}"),
            Self::Json(at) => format!("j:{}", pointer(at)),
            Self::Claim(at) => format!("c:{}", pointer(at)),
            Self::Signature(name) => format!("sig:{name}"),
            Self::Xml { path, absolute, attribute } => {
                let attribute = attribute.as_ref().map(|a| format!("/@{a}")).unwrap_or_default();
                format!("xml:{}{}{attribute}", if *absolute { "/" } else { "" }, path.join("/"))
            }
            Self::OtherKey(name) => format!("key:{name}"),
        }
    }
}

/// Reads `h:A|j:/b` in the field named.
pub fn places(field: &str, text: &str) -> Result<Places, RowError> {
    let found = text.split('|').map(|one| place(field, one)).collect::<Result<Places, _>>()?;
    if found.len() > MOST_PLACES {
        return Err(RowError::new(field, text, "at most 8 alternatives"));
    }
    Ok(found)
}

fn place(field: &str, text: &str) -> Result<Place, RowError> {
    let wrong = |why: &str| Err(RowError::new(field, text, why));
    if text.len() > LONGEST_PLACE {
        return wrong("a place has at most 200 bytes");
    }
    let Some((kind, rest)) = text.split_once(':') else {
        return wrong("a place begins with h:, q:, f:, j:, c:, xml:, sig: or key:");
    };
    if rest.is_empty() {
        return wrong("the place has no name");
    }
    Ok(match kind {
        "h" => {
            let (name, many) = match rest.strip_suffix('*') {
                Some(name) => (name, true),
                None => (rest, false),
            };
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'+-.^_`~".contains(&b);
            if name.is_empty() || !name.bytes().all(token) {
                return wrong("this is no header's name");
            }
            if many { Place::Headers(name.to_owned()) } else { Place::Header(name.to_owned()) }
        }
        "q" => Place::Query(rest.to_owned()),
        "f" => match rest.split_once('#') {
            Some((name, inner)) => Place::Form(name.to_owned(), Some(steps(field, text, inner)?)),
            None => Place::Form(rest.to_owned(), None),
        },
        "j" => Place::Json(pointer(field, text, rest)?),
        "c" => Place::Claim(pointer(field, text, rest)?),
        "sig" => Place::Signature(rest.to_owned()),
        "key" => Place::OtherKey(rest.to_owned()),
        "xml" => {
            let (rest, absolute) = match rest.strip_prefix('/') {
                Some(rest) => (rest, true),
                None => (rest, false),
            };
            let mut path: Vec<String> = rest.split('/').map(str::to_owned).collect();
            let attribute =
                path.pop_if(|l| l.starts_with('@')).map(|a| a.trim_start_matches('@').to_owned());
            if path.is_empty() || path.iter().any(String::is_empty) {
                return wrong("an element without a name");
            }
            Place::Xml { path, absolute, attribute }
        }
        _ => return wrong("a place begins with h:, q:, f:, j:, c:, xml:, sig: or key:"),
    })
}

fn pointer(field: &str, text: &str, rest: &str) -> Result<Pointer, RowError> {
    let (path, inner) = match rest.split_once('#') {
        Some((path, inner)) => (path, Some(steps(field, text, inner)?)),
        None => (rest, None),
    };
    Ok(Pointer { path: steps(field, text, path)?, inner })
}

fn steps(field: &str, text: &str, pointer: &str) -> Result<String, RowError> {
    if !pointer.starts_with('/') {
        return Err(RowError::new(field, text, "a JSON pointer begins with /"));
    }
    Ok(pointer.to_owned())
}
