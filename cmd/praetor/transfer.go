package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/praetor-engine/praetor/internal/client"
)

type modelsExport struct {
	modelArgument `embed:""`
	Format        string `enum:"praetor,lightgbm_text,lightgbm_json,pmml" default:"praetor" help:"praetor (everything, versions included), lightgbm_text, lightgbm_json or pmml (${default})."`
}

// Run writes the model as it comes.
func (c *modelsExport) Run(ctx context.Context, env *environment) error {
	return c.with(ctx, func(ctx context.Context, engine *client.Client, m *client.Model) error {
		document, err := engine.ExportModel(ctx, m.ID, c.Format)
		if err != nil {
			return err
		}
		_, err = env.out.Write(document)
		return err
	})
}

type modelsImport struct {
	connection `embed:""`
	File       string `arg:"" type:"existingfile" help:"The exported model; - is standard input."`
	Format     string `enum:"praetor,lightgbm_text,lightgbm_json" default:"praetor" help:"What the file is: praetor, lightgbm_text or lightgbm_json (${default})."`
	ModelKey   string `help:"The new model's key; of an export of praetor the model's own unless given."`
	ModelName  string `help:"The new model's name; likewise."`
}

// readFile reads a file; - is standard input.
func readFile(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}

// Run sends the file.
func (c *modelsImport) Run(ctx context.Context, env *environment) error {
	engine, ctx, done, err := c.open(ctx, c.client)
	if err != nil {
		return err
	}
	defer done()
	model, err := readFile(c.File)
	if err != nil {
		return err
	}
	if c.Format == client.FormatLightGBMText {
		if model, err = json.Marshal(string(model)); err != nil {
			return err
		}
	} else if !json.Valid(model) {
		return fmt.Errorf("%s is not JSON, as a model of format %s is", c.File, c.Format)
	}
	in := client.Import{Format: c.Format, Model: model, Key: c.ModelKey, Name: c.ModelName}
	m, err := engine.ImportModel(ctx, in, client.IdempotencyKey(rand.Text()))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.out, m)
	}
	return printModel(env.out, &m)
}
