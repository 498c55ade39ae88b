from flask import Flask

app = Flask(__name__)


@app.route("/")
def hello():
    return "Hello from a container!\n"


if __name__ == "__main__":
    # 0.0.0.0 and not 127.0.0.1: inside a container, localhost is the container alone.
    app.run(host="0.0.0.0", port=5000)
