package demo

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/praetor-engine/praetor/internal/client"
	"github.com/praetor-engine/praetor/internal/dataset"
	"github.com/praetor-engine/praetor/internal/decision"
)

// fileCheckpoints is how often the models are trained and measured while the
// training rows arrive.
const fileCheckpoints = 5

// file is a delimited file in play.
type file struct {
	*session
	data     *dataset.Table
	train    []int // rows that become outcomes, in the file's order
	tests    []int // rows that are only scored
	entrants []*entrant
	table    *learningTable
	test     testSet
	category string // marks the outcomes of this run
}

// playFile sends the training rows as outcomes in the file's order, trains, and
// measures on the test rows.
func (s *session) playFile(ctx context.Context, o CSV) error {
	data, dropped, err := open(o)
	if err != nil {
		return err
	}
	f := &file{session: s, data: data, category: "demo-file" + s.run}
	f.train, f.tests = data.Split()
	f.entrants = fileEntrants(f.category)
	f.introduce(o, dropped)
	if err := s.create(ctx, f.entrants); err != nil {
		return err
	}
	for _, i := range f.tests {
		f.test.rows = append(f.test.rows, client.BatchRow{CustomerID: rowID(i), Attributes: rowAttributes(data.Rows[i])})
		f.test.labels = append(f.test.labels, data.Labels[i])
	}
	began := time.Now()
	if err := f.play(ctx); err != nil {
		return err
	}
	s.out.line("")
	s.out.note("%s outcomes, %d trainings and %s scores in %.1f s, all through the HTTP API.", count(len(f.train)),
		2*fileCheckpoints, count(len(f.entrants)*fileCheckpoints*len(f.tests)), time.Since(began).Seconds())
	f.printResult()
	if err := f.printTop(ctx); err != nil {
		return err
	}
	s.hints(f.entrants[f.table.best(f.entrants)])
	return nil
}

// bankColumns tell the UCI bank marketing data (Moro, Cortez, Rita 2014), the
// full and the additional files alike.
var bankColumns = []string{"age", "job", "marital", "education", "housing", "loan", "contact", "campaign", "pdays", "previous", "poutcome"}

// bankLeak is the column of the bank data that no model may see: the length of
// the call, which is known only once it is over, with the answer.
const bankLeak = "duration"

// open reads the file. From the bank data it drops the column duration too, and
// tells so.
func open(o CSV) (data *dataset.Table, droppedLeak bool, err error) {
	opts := dataset.Options{Label: o.Label, Positive: o.Positive}
	data, err = dataset.Open(o.Path, opts) // with all columns, to know the file by them
	if err != nil {
		return nil, false, err
	}
	opts.Drop = o.Drop
	if isBank(data) && !slices.Contains(o.Drop, bankLeak) {
		opts.Drop = append(slices.Clone(o.Drop), bankLeak)
		droppedLeak = true
	}
	if len(opts.Drop) > 0 {
		data, err = dataset.Open(o.Path, opts)
	}
	return data, droppedLeak, err
}

// isBank reports whether the table has the bank data's columns, the leak among
// them.
func isBank(t *dataset.Table) bool {
	has := func(name string) bool {
		return slices.ContainsFunc(t.Columns, func(c dataset.Column) bool { return c.Name == name })
	}
	for _, name := range bankColumns {
		if !has(name) {
			return false
		}
	}
	return has(bankLeak)
}

func (f *file) introduce(o CSV, dropped bool) {
	numeric, positives := 0, 0
	for _, c := range f.data.Columns {
		if c.Numeric {
			numeric++
		}
	}
	for _, y := range f.data.Labels {
		if y {
			positives++
		}
	}
	f.out.title(filepath.Base(o.Path))
	f.out.note("%s rows; columns: %d numeric, %d categorical; %s is %s in %.1f %% of the rows; engine: %s.",
		count(len(f.data.Rows)), numeric, len(f.data.Columns)-numeric, o.Label, o.Positive,
		100*float64(positives)/float64(len(f.data.Labels)), f.engineName())
	if dropped {
		f.out.note("This is the bank marketing data: its column %s is not used. It is the length of the call, known only after "+
			"the customer has answered, so a model that sees it predicts what has already happened.", bankLeak)
	}
	f.out.title("How the models learn")
	f.out.note("Every fifth row, from the first on, is for the test: %s rows that no model learns from. The other %s become outcomes in the file's order. "+
		"The online model learns from each as it arrives; the others are trained at each line. If the file is in order of time, "+
		"the first lines show models that know only its beginning.", count(len(f.tests)), count(len(f.train)))
	f.out.line("")
}

func (f *file) play(ctx context.Context) error {
	f.table = f.newLearningTable(f.entrants, 4)
	done := 0
	for k := range fileCheckpoints {
		end := len(f.train) * (k + 1) / fileCheckpoints
		if err := f.send(ctx, &done, f.train[done:end]); err != nil {
			return err
		}
		if err := f.session.train(ctx, f.entrants); err != nil {
			return err
		}
		if err := f.checkpoint(ctx, f.table, f.entrants, &f.test, done); err != nil {
			return err
		}
	}
	f.out.finish()
	return nil
}

// send sends rows as outcomes, one request after the other: their order is what
// the online model learns in.
func (f *file) send(ctx context.Context, done *int, rows []int) error {
	outcomes := make([]client.Outcome, len(rows))
	for k, i := range rows {
		outcomes[k] = client.Outcome{
			CustomerID: rowID(i), CategoryID: f.category, Outcome: "dismiss", IdempotencyKey: rowID(i) + f.run,
			Attributes: rowAttributes(f.data.Rows[i]),
		}
		if f.data.Labels[i] {
			outcomes[k].Outcome = "convert"
		}
	}
	for chunk, err := range chunks(outcomes) {
		if err != nil {
			return err
		}
		f.out.progress(*done, len(f.train), "rows")
		if err := f.respond(ctx, chunk); err != nil {
			return err
		}
		*done += len(chunk)
	}
	f.out.progress(*done, len(f.train), "rows")
	return nil
}

func rowID(i int) string { return "row-" + strconv.Itoa(i) }

func rowAttributes(row decision.Row) object {
	attributes := make(object, len(row))
	for i := range row {
		if v, ok := row[i].Numeric(); ok {
			attributes[row[i].Name] = v
		} else {
			attributes[row[i].Name] = row[i].Text
		}
	}
	return attributes
}

// printResult prints the last checkpoint with more measures.
func (f *file) printResult() {
	f.out.title(fmt.Sprintf("After %s rows, on the %s test rows", count(len(f.train)), count(len(f.tests))))
	rows := make([][]string, len(f.entrants))
	for i, e := range f.entrants {
		m := f.table.last[i]
		how := "one pass, in file order"
		if e.trained {
			how = "trained"
		}
		rows[i] = []string{string(e.kind), how, fmt.Sprintf("%.4f", m.AUC), fmt.Sprintf("%.4f", m.LogLoss), fmt.Sprintf("%.4f", m.Brier)}
	}
	f.out.table([]column{{title: "model", left: true}, {title: "learned", left: true}, {title: "AUC"}, {title: "log-loss"}, {title: "Brier"}}, rows)
}

// shownTop is how many of the best test rows are printed.
const shownTop = 5

// printTop prints the test rows that the best model puts first, with what they
// did, and explains the first.
func (f *file) printTop(ctx context.Context) error {
	model := f.entrants[f.table.best(f.entrants)]
	scored, err := f.scoreRows(ctx, model, &f.test)
	if err != nil {
		return fmt.Errorf("measuring the %s model: %w", model.title, err)
	}
	order := make([]int, len(scored))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scored[b].Score, scored[a].Score) })
	f.out.title("Whom to call first, by the " + model.title + " model (the lowest log-loss)")
	order = order[:min(shownTop, len(order))]
	rows := make([][]string, len(order))
	for k, i := range order {
		did := "no"
		if scored[i].Positive {
			did = "yes"
		}
		rows[k] = []string{strconv.Itoa(k + 1), f.test.rows[i].CustomerID, percent(scored[i].Score), did}
	}
	f.out.table([]column{{title: "#"}, {title: "customer", left: true}, {title: "score"}, {title: "did", left: true}}, rows)
	first := f.test.rows[order[0]]
	return f.explain(ctx, model, first.Attributes, "Why "+first.CustomerID+" comes first")
}
