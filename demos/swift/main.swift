// Prints the labels of each line of standard input: classify MODEL.tflite MODEL.json < texts.txt

guard CommandLine.arguments.count == 3 else { fatalError("usage: classify MODEL.tflite MODEL.json < texts.txt") }
let classifier = try TextClassifier(modelPath: CommandLine.arguments[1], descriptionPath: CommandLine.arguments[2])
while let text = readLine() {
  let answer = try classifier.classify(text)
  print(answer.unknown ?? answer.labels.joined(separator: ", "))
}
