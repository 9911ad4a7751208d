import Foundation
import TensorFlowLite

/// A text classifier in a `.tflite` file that EdgeDistil wrote. Instances are not thread-safe, as `Interpreter`'s are not.
public final class TextClassifier {
  /// The model's answer for a text.
  public struct Answer {
    /// The text's labels, the most probable first: one, or those that reach their thresholds in a model that gives
    /// several; none if the text is unknown.
    public let labels: [String]
    /// The probability of each label of the model, in the model's order.
    public let scores: [(label: String, probability: Float)]
    /// The model's name for texts with none of its labels, if this is one.
    public let unknown: String?
  }

  public enum Failure: Error, Equatable {
    /// The model gives another number of probabilities than the description has labels.
    case otherModel(labels: Int, probabilities: Int)
    /// This device computes something else than the model was verified with.
    case mismatch(text: String, difference: Float)
  }

  private let description: Description
  private let runner: SignatureRunner
  private var rowLength = 0

  /// Opens a model and replays its golden cases.
  ///
  /// - Parameters:
  ///   - modelPath: The `.tflite` file.
  ///   - descriptionPath: The `edgedistil.json` that was taken out of it.
  public init(modelPath: String, descriptionPath: String) throws {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    description = try decoder.decode(Description.self, from: Data(contentsOf: URL(fileURLWithPath: descriptionPath)))
    runner = try Interpreter(modelPath: modelPath).signatureRunner(with: "classify_text")
    for golden in description.goldenCases where golden.textPair == nil { try replay(golden) }
  }

  /// Labels a text.
  public func classify(_ text: String) throws -> Answer {
    let probabilities = try run(text)
    let order = probabilities.indices.sorted { probabilities[$0] > probabilities[$1] }
    let given = description.thresholds.map { limits in order.filter { probabilities[$0] >= limits[$0] } } ?? [order[0]]
    let rule = description.preparation?.unknownTexts
    let unknown = try rule.flatMap { try floats("unknown_score")[0] > $0.threshold ? $0.label : nil }
    return Answer(
      labels: unknown == nil ? given.map { description.labels[$0] } : [],
      scores: zip(description.labels, probabilities).map { (label: $0, probability: $1) },
      unknown: unknown
    )
  }

  private func run(_ text: String) throws -> [Float] {
    // All that is done to a text: its UTF-8 bytes, and zeros up to a multiple of 128.
    let row = text.utf8.map(Int32.init) + [Int32](repeating: 0, count: 128 - text.utf8.count % 128)
    if row.count != rowLength {
      try runner.resizeInput(named: "text", toShape: [row.count])
      rowLength = row.count
    }
    try runner.invoke(with: ["text": row.withUnsafeBytes { Data($0) }])
    let probabilities = try floats("probabilities")
    guard probabilities.count == description.labels.count else {
      throw Failure.otherModel(labels: description.labels.count, probabilities: probabilities.count)
    }
    return probabilities
  }

  private func floats(_ output: String) throws -> [Float] {
    try runner.output(named: output).data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
  }

  private func replay(_ golden: Description.GoldenCase) throws {
    let difference = try zip(run(golden.text), golden.probabilities).map { abs($0 - $1) }.max() ?? 0
    guard difference <= description.tolerance else { throw Failure.mismatch(text: golden.text, difference: difference) }
  }
}

/// The part of `edgedistil.json` that is read.
private struct Description: Decodable {
  struct GoldenCase: Decodable {
    let text: String
    let textPair: String?
    let probabilities: [Float]
  }
  struct Preparation: Decodable {
    struct UnknownTexts: Decodable {
      let label: String
      let threshold: Float
    }
    let unknownTexts: UnknownTexts?
  }
  let labels: [String]
  let thresholds: [Float]?
  let tolerance: Float
  let goldenCases: [GoldenCase]
  let preparation: Preparation?
}
