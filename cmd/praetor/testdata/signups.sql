SELECT visitor, at FROM signups WHERE at >= @start_date
