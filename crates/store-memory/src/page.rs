//! Cutting a page out of a list.

use domain::{
    id::Id,
    page::{Cursor, Order, Page, PageRequest},
};
use store::history::MOST_PAGE_BYTES;

/// The page of `items`, which come in ascending order of their keys.
pub(crate) fn page<K: Id, T>(
    request: &PageRequest<K>,
    items: impl DoubleEndedIterator<Item = (K, T)>,
) -> Page<T> {
    search(request, usize::MAX, items.map(|(key, item)| (key, Some(item))), |_| 0)
}

/// The page of what is wanted (`Some`) of `items`, which come in ascending order of their keys. Looks
/// at `rows` of them at most, and ends where items of [`MOST_PAGE_BYTES`] have been found.
pub(crate) fn search<K: Id, T>(
    request: &PageRequest<K>,
    rows: usize,
    items: impl DoubleEndedIterator<Item = (K, Option<T>)>,
    bytes: impl Fn(&T) -> usize,
) -> Page<T> {
    let ascending = request.order == Order::Ascending;
    // What lies before a cursor is found by walking away from it, against the list's order.
    let (cursor, backwards) = match &request.cursor {
        None => (None, false),
        Some(Cursor::After(key)) => (Some(key), false),
        Some(Cursor::Before(key)) => (Some(key), true),
    };
    let items: Box<dyn Iterator<Item = (K, Option<T>)>> = if ascending != backwards {
        Box::new(items.filter(|(key, _)| cursor.is_none_or(|cursor| key > cursor)))
    } else {
        Box::new(items.rev().filter(|(key, _)| cursor.is_none_or(|cursor| key < cursor)))
    };
    let limit = usize::from(request.limit);
    let mut page = Page { items: Vec::new(), done: true, reached: None };
    let mut read = 0;
    for (looked_at, (key, item)) in items.enumerate() {
        if let Some(item) = item {
            if page.items.len() == limit {
                page.done = false;
                break;
            }
            read += bytes(&item);
            page.items.push(item);
        }
        if looked_at + 1 >= rows || read >= MOST_PAGE_BYTES {
            (page.done, page.reached) = (false, Some(*key.raw()));
            break;
        }
    }
    if backwards {
        page.items.reverse();
    }
    page
}
