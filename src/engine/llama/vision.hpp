// A projector: the part of a vision model that makes rows of numbers of images, through libmtmd.
//
// Made on the loop's thread and owned by main(); afterwards it belongs to the link's worker for
// images, so that an image is read while the model goes on computing.
#pragma once

#include "engine/llama/model.hpp"
#include "engine/picture.hpp"
#include "protocol/image_file.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace deepseek::engine::llama {

class Vision final : public VisionModel {
 public:
  struct Options {
    std::string path;
    bool on_gpu = false;
    std::int32_t threads = 1;
    std::int64_t pixels_max = protocol::ImageLimits{}.pixels_max;  // of one image
  };
  // The model must outlive it. Fails with `invalid_request` where the file is to blame: it is no
  // projector of images, is one for another model, or needs what is not done here.
  static base::Result<std::unique_ptr<Vision>> load(const Options& options, const Model& model);
  ~Vision() override;

  base::Result<Sight> see(std::string_view file, const std::string& param) override;

 private:
  struct Handles;
  Vision(const Options& options, std::int32_t width, std::unique_ptr<Handles> handles);

  Options options_;
  std::int32_t width_;
  std::unique_ptr<Handles> handles_;
};

// Whether the file says that it is a projector of images; its weights are not read. The error is
// invalid_request; else how many bytes its weights have.
base::Result<std::uint64_t> check_projector(const std::string& path);

}  // namespace deepseek::engine::llama
