"""What hosts without signatures rely on: the first subgraph is `classify_text`, and its row may have any length.

demos/react_native and demos/flutter run the first subgraph; tflite_flutter resizes its input to the row.
"""

import numpy as np
import pytest

from .test_swift_demo import TEXTS

ROW = 256


def first_subgraph(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def run(interpreter, row):
    """The outputs by their number of dimensions."""
    [text] = interpreter.get_input_details()
    if len(row) != text["shape"][0]:
        interpreter.resize_tensor_input(text["index"], [len(row)])
        interpreter.allocate_tensors()
    interpreter.set_tensor(text["index"], np.asarray(row, np.int32))
    interpreter.invoke()
    outputs = interpreter.get_output_details()
    return {len(output["shape"]): interpreter.get_tensor(output["index"]).reshape(-1) for output in outputs}


@pytest.mark.parametrize("name", ["single", "several", "unknown"])
def test_the_first_subgraph_labels_texts(demo_models, name):
    from edgedistil_runtime import TextClassifier

    interpreter = first_subgraph(demo_models[name])
    [text] = interpreter.get_input_details()
    assert (text["shape"].tolist(), text["dtype"]) == ([ROW], np.int32)
    assert {len(output["shape"]) for output in interpreter.get_output_details()} == (
        {1, 2} if name == "unknown" else {2}
    )
    with TextClassifier(demo_models[name]) as classifier:
        for one in TEXTS:
            data = one.encode()
            rows = [[*data, 0]]  # as demos/flutter
            if len(data) <= ROW:
                rows.append([*data, *[0] * (ROW - len(data))])  # as demos/react_native
            due = classifier.classify(one)
            for row in rows:
                found = run(interpreter, row)
                np.testing.assert_allclose(found[2], list(due.probabilities.values()), rtol=0, atol=1e-6)
                if due.unknown_score is not None:
                    assert found[1] == pytest.approx([due.unknown_score], abs=1e-4)


def test_pairs_come_after_single_texts(make_tiny_classifier, tmp_path):
    from edgedistil_converters import ModelInterface, QuantizationPlan, convert_classifier

    path, interface = tmp_path / "pair.tflite", ModelInterface(takes_text_pair=True)
    plan = QuantizationPlan("fp32")
    convert_classifier(make_tiny_classifier(), ("a", "b", "c"), path, plan=plan, interface=interface)
    [text] = first_subgraph(path).get_input_details()
    assert text["name"].startswith("classify_text_text")
