"""Writes reference.json: rows drawn from the values of cases.json, with the scores
that a reader of PMML, JPMML-Evaluator, computes for them from the golden documents.
A second reader, PMML4S, must compute the same. Before that every document is
validated against the PMML 4.4 schema that comes with the first reader.

Run in this folder with Python 3.11 and Java 11 or later, after `go test -update` has
written the documents:
    pip install jpmml-evaluator==0.16.0 jpype1==1.7.1 pypmml==1.5.8 py4j==0.10.9.9 \\
        pandas==3.1.1 numpy==2.4.6 lxml==6.1.3
    python reference.py
"""

import itertools
import json
import random
import zipfile
from pathlib import Path

import jpmml_evaluator
import pypmml
from lxml import etree

ROWS = 300
TOLERANCE = 1e-9


def schema():
    jars = Path(jpmml_evaluator.__file__).parent / "dependencies"
    with zipfile.ZipFile(next(jars.glob("pmml-model-1.*.jar"))) as jar:
        return etree.XMLSchema(etree.fromstring(jar.read("pmml.xsd")))


def rows(case):
    """All rows when they are few, else as many random ones."""
    fields, values = list(case["values"]), list(case["values"].values())
    combinations = 1
    for v in values:
        combinations *= len(v)
    if combinations <= ROWS:
        drawn = itertools.product(*values)
    else:
        rng = random.Random(case["name"])
        drawn = ([rng.choice(v) for v in values] for _ in range(ROWS))
    return [{f: v for f, v in zip(fields, row) if v is not None} for row in drawn]


def converted(value, data_type):
    """A value in the type of its field; readers differ on booleans elsewhere."""
    if isinstance(value, bool):
        return {"double": float(value), "string": str(value).lower(), "boolean": value}[data_type]
    return value


def scored(case, pmml_schema):
    path = f"{case['name']}.pmml"
    document = etree.parse(path)
    pmml_schema.assertValid(document)
    types = {f.get("name"): f.get("dataType") for f in document.iter("{*}DataField")}
    outputs = [f.get("name") for f in document.iter("{*}OutputField")]
    keys = {o: o.rstrip("_") for o in outputs if o.rstrip("_") in ("score", "rawScore")}
    first, second = jpmml_evaluator.make_evaluator(path).verify(), pypmml.Model.load(path)
    for row in rows(case):
        arguments = {f: converted(v, types[f]) for f, v in row.items()}
        got, other = first.evaluate(dict(arguments)), second.predict(dict(arguments))
        for output in keys:
            if not abs(got[output] - other[output]) < TOLERANCE:
                raise SystemExit(f"{path}: the readers disagree on {row}: {got} and {other}")
        yield {"row": row} | {key: got[o] for o, key in keys.items()}


def main():
    pmml_schema = schema()
    cases = json.loads(Path("cases.json").read_text(encoding="utf-8"))
    answers = []
    for case in cases:
        lines = [json.dumps(r, ensure_ascii=False) for r in scored(case, pmml_schema)]
        print(f"{case['name']}: valid, {len(lines)} rows")
        answers.append(f" {json.dumps(case['name'])}: [\n  " + ",\n  ".join(lines) + "\n ]")
    Path("reference.json").write_text("{\n" + ",\n".join(answers) + "\n}\n", encoding="utf-8")
    pypmml.Model.close()


if __name__ == "__main__":
    main()
