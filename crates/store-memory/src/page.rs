//! Cutting a page out of a list.

use domain::page::{Cursor, Order, Page, PageRequest};

/// The page of `items`, which come in ascending order of their keys.
pub(crate) fn page<K: Ord, T>(
    request: &PageRequest<K>,
    items: impl DoubleEndedIterator<Item = (K, T)>,
) -> Page<T> {
    let ascending = request.order == Order::Ascending;
    // What lies before a cursor is found by walking away from it, against the list's order.
    let (cursor, backwards) = match &request.cursor {
        None => (None, false),
        Some(Cursor::After(key)) => (Some(key), false),
        Some(Cursor::Before(key)) => (Some(key), true),
    };
    let limit = usize::from(request.limit);
    let mut found: Vec<T> = if ascending != backwards {
        let behind = items.filter(|(key, _)| cursor.is_none_or(|cursor| key > cursor));
        behind.map(|(_, item)| item).take(limit + 1).collect()
    } else {
        let behind = items.rev().filter(|(key, _)| cursor.is_none_or(|cursor| key < cursor));
        behind.map(|(_, item)| item).take(limit + 1).collect()
    };
    let done = found.len() <= limit;
    found.truncate(limit);
    if backwards {
        found.reverse();
    }
    Page { items: found, done }
}
