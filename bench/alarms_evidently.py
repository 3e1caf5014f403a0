"""evidently's data drift preset on the windows in a folder; runs in evidently's environment."""

import json
import sys
import warnings
from pathlib import Path


def main() -> None:
    """Print whether half of each window's columns drifted, evidently's default, and whether any."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    warnings.simplefilter("ignore")
    folder, categorical = Path(sys.argv[1]), json.loads(sys.argv[2])
    frames = {path.stem: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}
    reference = frames.pop("reference")
    numeric = [name for name in reference if name not in categorical]
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
    before = Dataset.from_pandas(reference, data_definition=definition)
    said: dict[str, dict[str, bool]] = {"evidently": {}, "evidently_any_column": {}}
    for name, frame in frames.items():
        current = Dataset.from_pandas(frame, data_definition=definition)
        found = json.loads(Report([DataDriftPreset()]).run(current, before).json())
        count = found["metrics"][0]["value"]
        said["evidently"][name] = count["share"] >= 0.5
        said["evidently_any_column"][name] = count["count"] > 0
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
