package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// Page is a part of a list, newest first.
type Page[T any] struct {
	Data       []T        `json:"data"`
	Pagination Pagination `json:"pagination"`
}

// Pagination says where a page stands in its list.
type Pagination struct {
	Total   int64  `json:"total"`
	HasMore bool   `json:"hasMore"`
	Limit   int    `json:"limit"`
	Cursor  string `json:"cursor"` // of the next page; empty at the end
}

// ListOptions ask for a page.
type ListOptions struct {
	Limit  int    // 1–100; 0 is the server's default, 50
	Cursor string // of the page before; empty for the first
}

// maxPage is the largest page the server gives.
const maxPage = 100

func list[T any](ctx context.Context, c *Client, path string, lo ListOptions, opts []Option) (Page[T], error) {
	query := url.Values{}
	if lo.Limit > 0 {
		query.Set("limit", strconv.Itoa(lo.Limit))
	}
	if lo.Cursor != "" {
		query.Set("cursor", lo.Cursor)
	}
	var page Page[T]
	err := c.do(ctx, call{method: http.MethodGet, path: path, query: query, safe: true}, opts, &page)
	return page, err
}

// all walks the whole list, page by page; it ends with the first error.
func all[T any](ctx context.Context, fetch func(context.Context, ListOptions, ...Option) (Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		lo := ListOptions{Limit: maxPage}
		for {
			page, err := fetch(ctx, lo)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, item := range page.Data {
				if !yield(item, nil) {
					return
				}
			}
			if !page.Pagination.HasMore || page.Pagination.Cursor == "" {
				return
			}
			lo.Cursor = page.Pagination.Cursor
		}
	}
}
