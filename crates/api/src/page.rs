//! Pages of lists: iterators in, iterators out.

use std::{fmt::Display, future::Future, str::FromStr};

use domain::page::{Cursor, DEFAULT_PAGE, MAX_PAGE, Order, Page, PageRequest};
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

use crate::{
    error::ApiError,
    extract::{FromQuery, QueryPairs},
};

/// How often a short page is filled up before it is answered as it is.
const MAX_FILLS: usize = 20;

/// The query of every list. A leading `-` of the iterator goes back.
#[derive(Clone, Debug)]
pub struct PageQuery<K> {
    limit: u16,
    cursor: Option<Cursor<K>>,
    order: Option<Order>,
}

impl<K> PageQuery<K> {
    /// What the store is asked, where lists may be ordered.
    pub fn ordered(self, default: Order) -> PageRequest<K> {
        let order = self.order.unwrap_or(default);
        PageRequest { limit: self.limit, order, cursor: self.cursor }
    }

    /// What the store is asked, where the order is fixed.
    pub fn fixed(self, order: Order) -> PageRequest<K> {
        PageRequest { limit: self.limit, order, cursor: self.cursor }
    }

    /// Whether it begins somewhere.
    pub const fn has_iterator(&self) -> bool {
        self.cursor.is_some()
    }
}

impl<K: FromStr> FromQuery for PageQuery<K> {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        let limit: u64 = query.typed("limit")?.unwrap_or(u64::from(DEFAULT_PAGE));
        let limit = match u16::try_from(limit) {
            Ok(limit @ 1..=MAX_PAGE) => limit,
            _ => {
                let msg = format!("must be 1 to {MAX_PAGE}");
                return Err(ApiError::invalid(&["query", "limit"], msg));
            }
        };
        let order = match query.get("order") {
            None => None,
            Some("ascending") => Some(Order::Ascending),
            Some("descending") => Some(Order::Descending),
            Some(_) => {
                return Err(ApiError::generic("order: must be `ascending` or `descending`"));
            }
        };
        let cursor = match query.get("iterator") {
            None => None,
            Some(text) => {
                let (back, key) = match text.strip_prefix('-') {
                    Some(key) => (true, key),
                    None => (false, text),
                };
                let key = key.parse::<K>().map_err(|_| {
                    let msg = "not an iterator: give the `iterator` of an earlier page";
                    ApiError::invalid(&["query", "iterator"], msg)
                })?;
                Some(if back { Cursor::Before(key) } else { Cursor::After(key) })
            }
        };
        Ok(Self { limit, cursor, order })
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListResponse<T> {
    /// In the list's order.
    pub data: Vec<T>,
    /// Where the next page begins; `null` if this one is empty.
    #[schema(example = "iterator")]
    pub iterator: Option<String>,
    /// Where the page before this one ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "-iterator")]
    pub prev_iterator: Option<String>,
    /// Nothing more lies in the direction that was asked for.
    pub done: bool,
}

impl<T> ListResponse<T> {
    /// A page whose items are named by `key`.
    pub fn new<K: Display>(page: Page<T>, key: impl Fn(&T) -> K) -> Self {
        Self {
            iterator: page.items.last().map(|item| key(item).to_string()),
            prev_iterator: page.items.first().map(|item| format!("-{}", key(item))),
            data: page.items,
            done: page.done,
        }
    }
}

/// Asks the store until the page is full or the list is at its end: a store looks at a bounded number
/// of rows per call.
pub async fn fill<K, T, F>(
    mut request: PageRequest<K>,
    key: impl Fn(&T) -> K,
    mut fetch: impl FnMut(PageRequest<K>) -> F,
) -> Result<Page<T>, ApiError>
where
    K: Clone,
    F: Future<Output = Result<Page<T>, StoreError>>,
{
    let limit = usize::from(request.limit);
    let backwards = matches!(request.cursor, Some(Cursor::Before(_)));
    let mut items: Vec<T> = Vec::new();
    let mut done = false;
    for _ in 0..MAX_FILLS {
        let page = fetch(request.clone()).await?;
        // An empty page names no place to go on from.
        done = page.done || page.items.is_empty();
        if backwards {
            let mut before = page.items;
            before.append(&mut items);
            items = before;
        } else {
            items.extend(page.items);
        }
        if done || items.len() >= limit {
            break;
        }
        let edge = if backwards { items.first() } else { items.last() };
        let edge = key(edge.expect("the last page was not empty"));
        request.cursor = Some(if backwards { Cursor::Before(edge) } else { Cursor::After(edge) });
        request.limit = u16::try_from(limit - items.len()).unwrap_or(MAX_PAGE);
    }
    Ok(Page { items, done })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of 0..20 in a store that looks at three rows per call.
    fn fetch(request: &PageRequest<u32>) -> Page<u32> {
        let limit = usize::from(request.limit.min(3));
        match request.cursor {
            Some(Cursor::Before(k)) => {
                let from = (k as usize).saturating_sub(limit) as u32;
                Page { items: (from..k).collect(), done: from == 0 }
            }
            Some(Cursor::After(_)) | None => {
                let from = match request.cursor {
                    Some(Cursor::After(k)) => k + 1,
                    _ => 0,
                };
                let to = (from + limit as u32).min(20);
                Page { items: (from..to).collect(), done: to == 20 }
            }
        }
    }

    #[tokio::test]
    async fn short_pages_are_filled_up() {
        for (cursor, want, done) in [
            (None, 0..10, false),
            (Some(Cursor::After(9)), 10..20, true),
            (Some(Cursor::After(14)), 15..20, true),
            (Some(Cursor::Before(15)), 5..15, false),
            (Some(Cursor::Before(4)), 0..4, true),
        ] {
            let request = PageRequest { limit: 10, order: Order::Ascending, cursor };
            let page = fill(request, |k| *k, async |r| Ok(fetch(&r))).await.expect("page");
            assert_eq!(page.items, want.collect::<Vec<_>>());
            assert_eq!(page.done, done);
        }
    }
}
