import subprocess
import sys


def test_the_records_import_no_torch():
    program = "import sys, tunesmith.records; sys.exit('torch' in sys.modules or 'numpy' in sys.modules or 'polars' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
