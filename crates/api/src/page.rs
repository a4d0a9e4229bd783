//! Pages of lists: iterators in, iterators out.

use std::{fmt::Display, future::Future, str::FromStr};

use domain::{
    alert::{Alert, Rule},
    application::Application,
    attempt::Attempt,
    endpoint::Endpoint,
    id::{
        AlertId, AlertRuleId, ApplicationId, AttemptId, AuditId, EndpointId, Id, MessageId,
        RejectedId, TaskId, TokenId,
    },
    message::Message,
    page::{Cursor, DEFAULT_PAGE, MAX_PAGE, Order, Page, PageRequest},
    task::Task,
    token::Token,
};
use serde::Serialize;
use store::{
    StoreError,
    audit::AuditEntry,
    history::{EndpointMessage, MOST_PAGE_BYTES, MessageEndpoint},
    rejected::RejectedRequest,
};
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
}

impl<K> PageQuery<K> {
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
        Ok(Self { limit, cursor })
    }
}

/// The query of lists that may be ordered.
#[derive(Clone, Debug)]
pub struct OrderedQuery<K> {
    page: PageQuery<K>,
    order: Option<Order>,
}

impl<K> OrderedQuery<K> {
    /// The same with iterators that are read as something else.
    pub fn map<L>(self, key: impl Fn(K) -> L) -> OrderedQuery<L> {
        let cursor = self.page.cursor.map(|cursor| match cursor {
            Cursor::After(at) => Cursor::After(key(at)),
            Cursor::Before(at) => Cursor::Before(key(at)),
        });
        OrderedQuery { page: PageQuery { limit: self.page.limit, cursor }, order: self.order }
    }

    /// What the store is asked.
    pub fn ordered(self, default: Order) -> PageRequest<K> {
        self.page.fixed(self.order.unwrap_or(default))
    }
}

impl<K: FromStr> FromQuery for OrderedQuery<K> {
    fn from_query(query: &QueryPairs<'_>) -> Result<Self, ApiError> {
        let page = PageQuery::from_query(query)?;
        let order = match query.get("order") {
            None => None,
            Some("ascending") => Some(Order::Ascending),
            Some("descending") => Some(Order::Descending),
            Some(_) => {
                return Err(ApiError::generic("order: must be `ascending` or `descending`"));
            }
        };
        Ok(Self { page, order })
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

    /// The same page with its items shown as something else, or not at all.
    pub fn filter_map<U>(self, show: impl FnMut(T) -> Option<U>) -> ListResponse<U> {
        let Self { data, iterator, prev_iterator, done } = self;
        let data = data.into_iter().filter_map(show).collect();
        ListResponse { data, iterator, prev_iterator, done }
    }

    /// The same page with its items shown as something else.
    pub fn map<U>(self, mut show: impl FnMut(T) -> U) -> ListResponse<U> {
        self.filter_map(|item| Some(show(item)))
    }

    /// A page of what is lent by the items of this one.
    pub fn lend<'a, U>(&'a self, show: impl FnMut(&'a T) -> U) -> ListResponse<U> {
        ListResponse {
            data: self.data.iter().map(show).collect(),
            iterator: self.iterator.clone(),
            prev_iterator: self.prev_iterator.clone(),
            done: self.done,
        }
    }
}

/// What lists of a store hold.
pub trait Listed {
    /// By what they are ordered.
    type Key: Id;

    /// Its place.
    fn key(&self) -> Self::Key;

    /// How much of a page's bytes it takes.
    fn bytes(&self) -> usize;
}

macro_rules! listed {
    ($($item:ty: $key:ty, $of:expr, $bytes:expr;)*) => {$(
        impl Listed for $item {
            type Key = $key;

            fn key(&self) -> $key {
                let of: fn(&Self) -> $key = $of;
                of(self)
            }

            fn bytes(&self) -> usize {
                let bytes: fn(&Self) -> usize = $bytes;
                bytes(self)
            }
        }
    )*};
}

fn body_bytes(message: &Message) -> usize {
    message.body.as_ref().map_or(0, |body| body.bytes.len())
}

listed! {
    Application: ApplicationId, |item| item.id, |_| 0;
    Rule: AlertRuleId, |item| item.id, |_| 0;
    Alert: AlertId, |item| item.id, |_| 0;
    Endpoint: EndpointId, |item| item.id, |_| 0;
    Task: TaskId, |item| item.id, |_| 0;
    Token: TokenId, |item| item.id, |_| 0;
    AuditEntry: AuditId, |item| item.id, |item| item.detail.len();
    Message: MessageId, |item| item.id, body_bytes;
    EndpointMessage: MessageId, |item| item.message.id, |item| body_bytes(&item.message);
    MessageEndpoint: EndpointId, |item| item.endpoint, |_| 0;
    RejectedRequest: RejectedId, |item| item.id, |item| item.body.len();
    Attempt: AttemptId, |item| item.id, |item| item.outcome.response.len();
}

/// Asks the store until the page is full, or heavy, or the list is at its end: a store looks at a
/// bounded number of rows per call. A page that is answered before that says how far it has looked, and
/// not only how far it has found something.
pub async fn fill<T, F>(
    mut request: PageRequest<T::Key>,
    mut fetch: impl FnMut(PageRequest<T::Key>) -> F,
) -> Result<ListResponse<T>, ApiError>
where
    T: Listed,
    F: Future<Output = Result<Page<T>, StoreError>>,
{
    let limit = usize::from(request.limit);
    let backwards = matches!(request.cursor, Some(Cursor::Before(_)));
    let mut items: Vec<T> = Vec::new();
    let mut edge = None;
    let mut bytes = 0;
    for _ in 0..MAX_FILLS {
        let page = fetch(request.clone()).await?;
        let last = if backwards { page.items.first() } else { page.items.last() };
        let reached = page.reached.map(T::Key::from_raw).or_else(|| last.map(Listed::key));
        bytes += page.items.iter().map(Listed::bytes).sum::<usize>();
        if backwards {
            let mut before = page.items;
            before.append(&mut items);
            items = before;
        } else {
            items.extend(page.items);
        }
        edge = reached.filter(|_| !page.done);
        let Some(edge) = edge else { break };
        if items.len() >= limit || bytes >= MOST_PAGE_BYTES {
            break;
        }
        request.cursor = Some(if backwards { Cursor::Before(edge) } else { Cursor::After(edge) });
        request.limit = u16::try_from(limit - items.len()).unwrap_or(MAX_PAGE);
    }
    let page = Page { items, done: edge.is_none(), reached: None };
    let mut list = ListResponse::new(page, T::key);
    if let Some(edge) = edge {
        if backwards {
            list.prev_iterator = Some(format!("-{edge}"));
        } else {
            list.iterator = Some(edge.to_string());
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An item of a list of 0..20.
    #[derive(Debug, PartialEq, Eq)]
    struct Number(u8);

    fn id(number: u8) -> TaskId {
        let mut raw = [0; 20];
        raw[19] = number;
        TaskId::from_raw(raw)
    }

    impl Listed for Number {
        type Key = TaskId;

        fn key(&self) -> TaskId {
            id(self.0)
        }

        fn bytes(&self) -> usize {
            0
        }
    }

    /// That list, in a store that looks at three rows per call, at those that are `wanted`.
    fn fetch(request: &PageRequest<TaskId>, wanted: fn(u8) -> bool) -> Page<Number> {
        let at = |key: &TaskId| key.raw()[19];
        let (from, to) = match &request.cursor {
            Some(Cursor::Before(key)) => (at(key).saturating_sub(3), at(key)),
            Some(Cursor::After(key)) => (at(key) + 1, (at(key) + 4).min(20)),
            None => (0, 3),
        };
        let backwards = matches!(request.cursor, Some(Cursor::Before(_)));
        let done = if backwards { from == 0 } else { to == 20 };
        let reached = Some(if backwards { from } else { to - 1 }).filter(|_| !done);
        Page {
            items: (from..to).filter(|n| wanted(*n)).map(Number).collect(),
            done,
            reached: reached.map(|at| *id(at).raw()),
        }
    }

    async fn list(
        cursor: Option<Cursor<TaskId>>,
        limit: u16,
        wanted: fn(u8) -> bool,
    ) -> ListResponse<Number> {
        let request = PageRequest { limit, order: Order::Ascending, cursor };
        fill(request, async |r| Ok(fetch(&r, wanted))).await.expect("page")
    }

    #[tokio::test]
    async fn short_pages_are_filled_up() {
        for (cursor, want, done) in [
            (None, 0..12, false),
            (Some(Cursor::After(id(7))), 8..20, true),
            (Some(Cursor::After(id(14))), 15..20, true),
            (Some(Cursor::Before(id(15))), 3..15, false),
            (Some(Cursor::Before(id(4))), 0..4, true),
        ] {
            let page = list(cursor, 12, |_| true).await;
            assert_eq!(page.data, want.map(Number).collect::<Vec<_>>());
            assert_eq!(page.done, done);
        }
    }

    #[tokio::test]
    async fn empty_stretches_are_not_the_end() {
        let page = list(None, 1, |n| n == 17).await;
        assert_eq!(page.data, [Number(17)]);
        let page = list(Some(Cursor::Before(id(19))), 1, |n| n == 1).await;
        assert_eq!((page.data, page.done), (vec![Number(1)], false));
    }

    #[tokio::test]
    async fn a_page_without_items_says_how_far_it_looked() {
        // Looks at one row per call, and never finds anything.
        let fetch = async |request: PageRequest<TaskId>| {
            let at = match request.cursor {
                Some(Cursor::After(key)) => key.raw()[19] + 1,
                _ => 0,
            };
            Ok(Page { items: Vec::<Number>::new(), done: false, reached: Some(*id(at).raw()) })
        };
        let request = PageRequest { limit: 9, order: Order::Ascending, cursor: None };
        let page = fill(request, fetch).await.expect("page");
        assert!(!page.done && page.data.is_empty());
        assert_eq!(page.iterator, Some(id(MAX_FILLS as u8 - 1).to_string()));
    }
}
