package httpapi

// experiment makes an experiment and returns its id.
func (a *api) experiment(body string) string {
	a.t.Helper()
	var x struct{ ID string }
	a.must(201, post, "/api/v1/experiments", a.editor, body).into(a.t, &x)
	return x.ID
}
