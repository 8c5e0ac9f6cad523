// Read a DICOM SR with dcmjs and print its measurement groups as JSON.
//
// node tests/dcmjs/read_report.cjs sr.dcm
// dcmjs is found in the folder that MAPNODE_DCMJS names (npm install --prefix FOLDER dcmjs), else beside this file.
const fs = require("node:fs");
const path = require("node:path");
const { createRequire } = require("node:module");

const home = process.env.MAPNODE_DCMJS || __dirname;
const dcmjs = createRequire(path.join(path.resolve(home), "package.json"))("dcmjs");

const MEASUREMENT_GROUP = "125007";
const TRACKING_IDENTIFIER = "112039";

const array = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);
const code = (item) => array(item.ConceptNameCodeSequence)[0]?.CodeValue;
const walk = (item) => [item, ...array(item.ContentSequence).flatMap(walk)];
const of = (group, type) => array(group.ContentSequence).filter((item) => item.ValueType === type);

function number(item) {
    const measured = array(item.MeasuredValueSequence)[0];
    const modifiers = of(item, "CODE").map((child) => array(child.ConceptCodeSequence)[0].CodeValue);
    return {
        concept: code(item),
        derivation: modifiers.join(),
        value: measured.NumericValue,
        unit: array(measured.MeasurementUnitsCodeSequence)[0].CodeValue,
    };
}

function region(item) {
    const image = array(array(item.ContentSequence)[0].ReferencedSOPSequence)[0];
    return {
        type: item.GraphicType,
        points: Array.from(item.GraphicData),
        image: image.ReferencedSOPInstanceUID,
        frame: image.ReferencedFrameNumber ?? null,
    };
}

function group(item) {
    const evaluations = of(item, "CODE").map((child) => [code(child), array(child.ConceptCodeSequence)[0].CodeValue]);
    return {
        tracking: of(item, "TEXT").find((child) => code(child) === TRACKING_IDENTIFIER).TextValue,
        numbers: of(item, "NUM").map(number),
        regions: of(item, "SCOORD").map(region),
        evaluations,
    };
}

const bytes = fs.readFileSync(process.argv[2]);
const file = dcmjs.data.DicomMessage.readFile(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
const report = dcmjs.data.DicomMetaDictionary.naturalizeDataset(file.dict);
const groups = walk(report).filter((item) => item.ValueType === "CONTAINER" && code(item) === MEASUREMENT_GROUP);
process.stdout.write(`${JSON.stringify({ name: report.PatientName, groups: groups.map(group) }, null, 1)}\n`);
