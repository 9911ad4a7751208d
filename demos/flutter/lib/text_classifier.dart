import 'dart:convert';
import 'dart:math';

import 'package:flutter/services.dart' show rootBundle;
import 'package:tflite_flutter/tflite_flutter.dart';

/// The model's answer for a text.
class Answer {
  const Answer(this.labels, this.scores, this.unknown);

  /// The text's labels, the most probable first: one, or those that reach their thresholds in a model that gives
  /// several; none if the text is unknown.
  final List<String> labels;

  /// The probability of each label of the model, in the model's order.
  final Map<String, double> scores;

  /// The model's name for texts with none of its labels, if this is one.
  final String? unknown;
}

/// A text classifier in a `.tflite` file that EdgeDistil wrote.
class TextClassifier {
  TextClassifier._(this._interpreter, this._description)
      : _labels = List<String>.from(_description['labels'] as List);

  final Interpreter _interpreter;
  final Map<String, dynamic> _description;
  final List<String> _labels;

  /// Opens a model among the app's assets and replays its golden cases.
  ///
  /// [model] is the `.tflite` file and [description] the `edgedistil.json` that was taken out of it. Throws
  /// [StateError] if the model is another one, or if this device computes something else than it was verified with.
  static Future<TextClassifier> fromAssets(String model, String description) async {
    final bytes = await rootBundle.load(model);
    final interpreter = Interpreter.fromBuffer(bytes.buffer.asUint8List(bytes.offsetInBytes, bytes.lengthInBytes));
    final content = jsonDecode(await rootBundle.loadString(description)) as Map<String, dynamic>;
    final classifier = TextClassifier._(interpreter, content);
    for (final golden in content['golden_cases'] as List) {
      if (golden['text_pair'] == null) classifier._replay(golden as Map<String, dynamic>);
    }
    return classifier;
  }

  /// Labels a text.
  Answer classify(String text) {
    final (probabilities, unknownScore) = _run(text);
    final order = List.generate(_labels.length, (index) => index)
      ..sort((one, other) => probabilities[other].compareTo(probabilities[one]));
    final thresholds = _description['thresholds'] as List?;
    final given = thresholds == null
        ? order.take(1)
        : order.where((index) => probabilities[index] >= (thresholds[index] as num));
    final rule = (_description['preparation'] as Map)['unknown_texts'] as Map?;
    final isUnknown = rule != null && unknownScore != null && unknownScore > (rule['threshold'] as num);
    return Answer(
      isUnknown ? const [] : [for (final index in given) _labels[index]],
      Map.fromIterables(_labels, probabilities),
      isUnknown ? rule['label'] as String : null,
    );
  }

  void close() => _interpreter.close();

  (List<double>, double?) _run(String text) {
    // All that is done to a text: its UTF-8 bytes, and one zero, because a row must not be empty.
    final row = [...utf8.encode(text), 0];
    final shapes = [for (final tensor in _interpreter.getOutputTensors()) tensor.shape];
    final outputs = <int, Object>{for (final (index, shape) in shapes.indexed) index: _zeros(shape)};
    _interpreter.runForMultipleInputs([row], outputs); // it resizes the input to the row
    final place = shapes.indexWhere((shape) => shape.length == 2); // unknown_score has one dimension
    final probabilities = List<double>.from((outputs[place]! as List).first as List);
    if (probabilities.length != _labels.length) {
      throw StateError(
        'The model gives ${probabilities.length} probabilities for ${_labels.length} labels. '
        'Take edgedistil.json out of this model.',
      );
    }
    return (probabilities, shapes.length == 2 ? (outputs[1 - place]! as List).first as double : null);
  }

  void _replay(Map<String, dynamic> golden) {
    final text = golden['text'] as String;
    final expected = List<double>.from((golden['probabilities'] as List).map((value) => (value as num).toDouble()));
    final received = _run(text).$1;
    final difference = [for (final (index, value) in expected.indexed) (value - received[index]).abs()].reduce(max);
    if (!(difference <= (_description['tolerance'] as num))) {
      throw StateError(
        'The model computes something else here: "$text" differs by $difference. '
        'Use another scheme, such as fp32.',
      );
    }
  }

  // Of dynamic elements, because the plugin replaces them by new lists.
  static List<dynamic> _zeros(List<int> shape) =>
      shape.length == 1 ? List<dynamic>.filled(shape[0], 0.0) : <dynamic>[List<dynamic>.filled(shape[1], 0.0)];
}
