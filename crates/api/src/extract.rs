//! Query and path, with the contract's errors: a value of the wrong type is a 400, one that is out
//! of bounds a 422. Unknown parameters are ignored.

use std::{borrow::Cow, str::FromStr};

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use url::form_urlencoded;

use crate::{error::ApiError, state::ApiState};

/// Most parameters of a query, and most items of a list in it.
const MAX_PARAMETERS: usize = 1_000;

/// The parameters of a query, decoded.
pub struct QueryPairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> QueryPairs<'a> {
    /// Of a request's query.
    pub fn new(query: Option<&'a str>) -> Result<Self, ApiError> {
        let Some(query) = query else { return Ok(Self(Vec::new())) };
        let pairs: Vec<_> =
            form_urlencoded::parse(query.as_bytes()).take(MAX_PARAMETERS + 1).collect();
        if pairs.len() > MAX_PARAMETERS {
            let msg = format!("at most {MAX_PARAMETERS} parameters");
            return Err(ApiError::invalid(&["query"], msg));
        }
        Ok(Self(pairs))
    }

    /// A parameter's text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// A parameter whose type is in question: 400 if it is of another one.
    pub fn typed<T: FromStr<Err: ToString>>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let parse = |text: &str| {
            text.parse().map_err(|error: T::Err| {
                ApiError::generic(format!("{name}: {}", error.to_string()))
            })
        };
        self.get(name).map(parse).transpose()
    }

    /// A parameter whose form is in question: 422 if it is not as it must be.
    pub fn formed<T: FromStr<Err: ToString>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, ApiError> {
        let parse = |text: &str| {
            text.parse().map_err(|error: T::Err| ApiError::invalid(&["query", name], error))
        };
        self.get(name).map(parse).transpose()
    }

    /// A switch.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        Ok(self.typed(name)?.unwrap_or(default))
    }

    /// A list, in any of its spellings: `a=1,2`, `a=1&a=2`, `a[]=1&a[]=2`, `a[0]=1&a[1]=2`. `None` if
    /// there is none.
    pub fn list<T: FromStr<Err: ToString>>(
        &self,
        name: &'static str,
    ) -> Result<Option<Vec<T>>, ApiError> {
        let belongs = |key: &str| {
            let rest = key.strip_prefix(name)?;
            let index = rest.strip_prefix('[').and_then(|r| r.strip_suffix(']'));
            let is_list =
                rest.is_empty() || index.is_some_and(|i| i.bytes().all(|b| b.is_ascii_digit()));
            is_list.then_some(())
        };
        let mut items = Vec::new();
        let mut found = false;
        for (_, value) in self.0.iter().filter(|(key, _)| belongs(key).is_some()) {
            found = true;
            for item in value.split(',').filter(|item| !item.is_empty()) {
                let item = item
                    .parse()
                    .map_err(|error: T::Err| ApiError::invalid(&["query", name], error));
                items.push(item?);
                if items.len() > MAX_PARAMETERS {
                    let msg = format!("at most {MAX_PARAMETERS} items");
                    return Err(ApiError::invalid(&["query", name], msg));
                }
            }
        }
        Ok(found.then_some(items))
    }
}

/// A type that a query is read into.
pub trait FromQuery: Sized {
    /// Reads it.
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError>;
}

impl<A: FromQuery, B: FromQuery> FromQuery for (A, B) {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        Ok((A::from_query(query)?, B::from_query(query)?))
    }
}

/// The query of a request.
pub struct Query<T>(pub T);

impl<T: FromQuery> FromRequestParts<ApiState> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        T::from_query(&QueryPairs::new(parts.uri.query())?).map(Self)
    }
}

/// The parameters of a path, in order.
pub struct Path<T>(pub T);

/// Types that a path is read into.
pub trait FromPath: Sized {
    /// Reads it.
    fn from_path(params: &RawPathParams) -> Result<Self, ApiError>;
}

fn segment<T: FromStr<Err: ToString>>(params: &RawPathParams, at: usize) -> Result<T, ApiError> {
    let (name, text) = params.iter().nth(at).ok_or(ApiError::Internal)?;
    text.parse().map_err(|error: T::Err| {
        let loc = vec![Cow::Borrowed("path"), Cow::Owned(name.to_owned())];
        let msg = error.to_string();
        ApiError::Invalid(vec![crate::error::Fault { loc, msg, kind: "value_error" }])
    })
}

impl<A: FromStr<Err: ToString>> FromPath for (A,) {
    fn from_path(params: &RawPathParams) -> Result<Self, ApiError> {
        Ok((segment(params, 0)?,))
    }
}

impl<A: FromStr<Err: ToString>, B: FromStr<Err: ToString>> FromPath for (A, B) {
    fn from_path(params: &RawPathParams) -> Result<Self, ApiError> {
        Ok((segment(params, 0)?, segment(params, 1)?))
    }
}

impl<A, B, C> FromPath for (A, B, C)
where
    A: FromStr<Err: ToString>,
    B: FromStr<Err: ToString>,
    C: FromStr<Err: ToString>,
{
    fn from_path(params: &RawPathParams) -> Result<Self, ApiError> {
        Ok((segment(params, 0)?, segment(params, 1)?, segment(params, 2)?))
    }
}

impl<T: FromPath> FromRequestParts<ApiState> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::invalid(&["path"], "the path is not valid UTF-8"))?;
        T::from_path(&params).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::name::EventTypeName;

    #[test]
    fn lists_are_read_in_every_spelling() {
        for query in [
            "event_types=a,b",
            "event_types=a%2Cb",
            "event_types=a&event_types=b",
            "event_types[]=a&event_types[]=b",
            "event_types%5B%5D=a&event_types%5B%5D=b",
            "event_types[0]=a&event_types[1]=b",
        ] {
            let pairs = QueryPairs::new(Some(query)).expect("pairs");
            let list: Vec<EventTypeName> = pairs.list("event_types").expect("list").expect("some");
            let names: Vec<_> = list.iter().map(EventTypeName::as_str).collect();
            assert_eq!(names, ["a", "b"], "{query}");
        }
        let pairs = QueryPairs::new(Some("event_types_x=a&event_types[x]=b")).expect("pairs");
        assert_eq!(pairs.list::<EventTypeName>("event_types"), Ok(None));
    }

    #[test]
    fn long_lists_are_refused() {
        for query in ["a=1&".repeat(10_000), format!("event_types={}", "a,".repeat(10_000))] {
            let list = QueryPairs::new(Some(&query)).and_then(|pairs| {
                pairs.list::<EventTypeName>("event_types").map(|list| list.map(|l| l.len()))
            });
            assert!(matches!(list, Err(ApiError::Invalid(_))), "{list:?}");
        }
    }
}
