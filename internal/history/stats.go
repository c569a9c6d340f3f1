package history

// Stats are figures for metrics. The counters of what was dropped and evicted
// are the same on every node and survive restarts and the tenants they were
// about; the rest is of the moment.
type Stats struct {
	Tenants   int
	Rows      int64 // interactions kept
	Customers int64 // customers with summaries
	Summaries int64 // customer × offer summaries

	DroppedRows      int64 // interactions dropped by retention or with their tenant
	EvictedCustomers int64 // customers whose summaries were given up
	EvictedSummaries int64 // summaries given up, those of evicted customers included
	Untracked        int64 // outcomes whose customer id is too long for a summary

	PendingSweeps int    // dropped and still on disk
	DiskBytes     uint64 // of the live database
}

// Stats returns the figures of the moment, over all tenants.
func (s *Store) Stats() (Stats, error) {
	im, err := s.acquire()
	if err != nil {
		return Stats{}, err
	}
	defer im.done()
	st := Stats{PendingSweeps: im.sweep.pending(), DiskBytes: im.db.Metrics().DiskSpaceUsage()}
	im.addCounts(&st)
	return st, nil
}

func (im *image) addCounts(st *Stats) {
	im.mu.Lock()
	defer im.mu.Unlock()
	var sum totals
	sum.add(&im.gone)
	for _, t := range *im.tenants.Load() {
		st.Tenants++
		st.Rows += t.rows.Load()
		sum.add(&t.totals)
		customers, summaries := t.counts()
		st.Customers += customers
		st.Summaries += summaries
	}
	st.DroppedRows = sum.droppedRows.Load()
	st.EvictedCustomers = sum.evictedCustomers.Load()
	st.EvictedSummaries = sum.evictedSummaries.Load()
	st.Untracked = sum.untracked.Load()
}

func (t *tenant) counts() (customers, summaries int64) {
	for i := range t.shards {
		if sh := t.shards[i].Load(); sh != nil {
			sh.mu.RLock()
			customers += sh.customerCount
			summaries += sh.rowCount
			sh.mu.RUnlock()
		}
	}
	return customers, summaries
}
