use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a page of a list stands in the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaginationInfo {
    /// Number of this page, from 1.
    #[schema(minimum = 1)]
    pub page: u64,
    #[schema(minimum = 1)]
    pub page_size: u64,
    /// Items on all pages together.
    #[schema(minimum = 0)]
    pub total_items: u64,
    /// 0 when there are no items.
    #[schema(minimum = 0)]
    pub total_pages: u64,
    pub has_next_page: bool,
}

impl PaginationInfo {
    /// Describes page `page` (from 1) of `total_items` in pages of `page_size` (at least 1).
    #[must_use]
    pub fn new(page: u64, page_size: u64, total_items: u64) -> Self {
        let total_pages = total_items.div_ceil(page_size.max(1));
        Self { page, page_size, total_items, total_pages, has_next_page: page < total_pages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_to_the_last_partial_one() {
        let of = |page, size, total| {
            let info = PaginationInfo::new(page, size, total);
            (info.total_pages, info.has_next_page)
        };
        assert_eq!(of(1, 20, 0), (0, false));
        assert_eq!(of(1, 20, 20), (1, false));
        assert_eq!(of(1, 20, 21), (2, true));
        assert_eq!(of(2, 20, 21), (2, false));
        assert_eq!(of(9, 20, 21), (2, false));
    }
}
