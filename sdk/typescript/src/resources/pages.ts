import type { Schemas } from "../wire.js";

/** One page of a list. */
export interface Page<Item> {
  /** What is on this page. */
  items: Item[];
  /** Which page this is, and of how many. */
  pagination: Schemas["PaginationInfo"];
}

/** Items on a page when everything is listed. */
const PAGE_SIZE = 100;

/** Every item of a list, page after page. */
export async function* everything<Item>(
  page: (query: { page: number; pageSize: number }) => Promise<Page<Item>>,
): AsyncGenerator<Item, void, undefined> {
  for (let number = 1; ; number += 1) {
    const { items, pagination } = await page({ page: number, pageSize: PAGE_SIZE });
    yield* items;
    if (!pagination.hasNextPage) return;
  }
}

/** Labels as a filter: a query string inside a query string, so its parts are escaped on their own first. */
export function labelFilter(labels: Record<string, string> | undefined): string | undefined {
  const pairs = Object.entries(labels ?? {});
  if (pairs.length === 0) return undefined;
  return pairs.map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`).join("&");
}
