//! One page of a list.

/// Most items of a page.
pub const MAX_PAGE: u16 = 250;
/// Items of a page when nobody says.
pub const DEFAULT_PAGE: u16 = 50;

/// Which way a list runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Oldest or smallest first.
    Ascending,
    /// Newest or largest first.
    Descending,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor<K> {
    /// The items behind this key, in the list's order.
    After(K),
    /// The items just before this key, in the list's order still.
    Before(K),
}

/// One page of a list: `limit` items from `cursor` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest<K> {
    /// 1..=[`MAX_PAGE`].
    pub limit: u16,
    /// The list's order.
    pub order: Order,
    /// `None` is the beginning.
    pub cursor: Option<Cursor<K>>,
}

/// A page, in the list's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// At most the limit that was asked for.
    pub items: Vec<T>,
    /// Whether nothing more lies in the direction that was asked for.
    pub done: bool,
    /// The last key that was looked at, raw, where the search ended before the page was full: it goes
    /// on from there. `None`: the items tell.
    pub reached: Option<[u8; 20]>,
}

impl<T> Page<T> {
    /// The same page of something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(f).collect(),
            done: self.done,
            reached: self.reached,
        }
    }
}
