// The part of TensorFlowLiteSwift that demos/swift uses, without an interpreter: a run looks up its row in a table.
//
// After Interpreter.swift, SignatureRunner.swift and Tensor.swift of tensorflow/lite/swift/Sources. The table is the file
// beside the model, MODEL.rows.json: bytes of a text, as numbers with commas between them -> outputs by name.

import Foundation

public struct Tensor {
  public struct Shape: ExpressibleByArrayLiteral {
    public let dimensions: [Int]
    public init(arrayLiteral elements: Int...) { dimensions = elements }
  }
  public let data: Data
}

public enum SignatureRunnerError: Error {
  case failedToCreateSignatureRunner(signatureKey: String)
  case invalidTensorDataCount(provided: Int, required: Int)
  case failedToInvokeSignature(signatureKey: String)
  case failedToGetTensor(tensorType: String, nameInSignature: String)
}

public final class Interpreter {
  public struct Options {}
  public struct Delegate {}
  let table: [String: [String: [Float]]]

  public init(modelPath: String, options: Options? = nil, delegates: [Delegate]? = nil) throws {
    let content = try Data(contentsOf: URL(fileURLWithPath: "\(modelPath).rows.json"))
    table = try JSONDecoder().decode([String: [String: [Float]]].self, from: content)
  }

  public func signatureRunner(with key: String) throws -> SignatureRunner {
    guard key == "classify_text" else { throw SignatureRunnerError.failedToCreateSignatureRunner(signatureKey: key) }
    return SignatureRunner(table)
  }
}

public final class SignatureRunner {
  private let table: [String: [String: [Float]]]
  private var length = 256
  private var outputs: [String: [Float]] = [:]

  init(_ table: [String: [String: [Float]]]) { self.table = table }

  public func resizeInput(named name: String, toShape shape: Tensor.Shape) throws {
    guard name == "text", shape.dimensions.count == 1 else {
      throw SignatureRunnerError.failedToGetTensor(tensorType: "input", nameInSignature: name)
    }
    length = shape.dimensions[0]
  }

  public func invoke(with inputs: [String: Data]) throws {
    guard let data = inputs["text"], inputs.count == 1 else {
      throw SignatureRunnerError.failedToInvokeSignature(signatureKey: "classify_text")
    }
    guard data.count == 4 * length else {
      throw SignatureRunnerError.invalidTensorDataCount(provided: data.count, required: 4 * length)
    }
    let row = data.withUnsafeBytes { Array($0.bindMemory(to: Int32.self)) }
    let bytes = row.prefix(while: { $0 != 0 }).map(String.init).joined(separator: ",")
    guard let found = table[bytes] else {
      throw SignatureRunnerError.failedToInvokeSignature(signatureKey: "classify_text")
    }
    outputs = found
  }

  public func output(named name: String) throws -> Tensor {
    guard let values = outputs[name] else {
      throw SignatureRunnerError.failedToGetTensor(tensorType: "output", nameInSignature: name)
    }
    return Tensor(data: values.withUnsafeBytes { Data($0) })
  }
}
