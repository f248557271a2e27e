//! Filters and pages.

use std::sync::Arc;

use super::{owner::Scope, record::Record};

/// Which sandboxes to list; an empty filter lists all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these, compared without regard to case.
    pub states: Vec<String>,
    /// All of these; two values for one key match nothing.
    pub metadata: Vec<(String, String)>,
    pub scope: Scope,
}

/// Which part of a list; pages count from 1.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest {
    pub page: usize,
    pub page_size: usize,
}

/// A part of a list, newest first.
#[derive(Debug, Clone)]
pub struct Page {
    pub items: Vec<Arc<Record>>,
    pub page: usize,
    pub page_size: usize,
    pub total_items: usize,
}

impl Page {
    pub fn total_pages(&self) -> usize {
        self.total_items.div_ceil(self.page_size)
    }

    pub fn has_next(&self) -> bool {
        self.page < self.total_pages()
    }
}

impl Filter {
    pub fn matches(&self, record: &Record) -> bool {
        let state = record.status.state.as_str();
        self.scope.covers(record.plan.tenant.as_deref())
            && (self.states.is_empty() || self.states.iter().any(|wanted| wanted.eq_ignore_ascii_case(state)))
            && self.metadata.iter().all(|(key, value)| record.metadata.get(key) == Some(value))
    }
}

/// Newest first; the id decides between sandboxes of the same instant, so that pages never overlap.
pub(super) fn paginate(mut records: Vec<Arc<Record>>, request: PageRequest) -> Page {
    records.sort_unstable_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id)));
    let total_items = records.len();
    let first = request.page.saturating_sub(1).saturating_mul(request.page_size);
    let items = records.into_iter().skip(first).take(request.page_size).collect();
    Page { items, page: request.page, page_size: request.page_size, total_items }
}
